import Foundation
import Messaging

/// The job that a worker serves, with what its tasks share.
struct ServedJob: Sendable {
  let context: JobContext
  let files: CoordinatorFiles
  /// Of this job alone: who may ask for its artifacts must not get those of another.
  let store: ArtifactStore
  let passes: PassRecords
  let copies: InputCopies
  let blocks: BlockSource
  let grams = GramSource()
  let sweep = SweepStream()
  let expected = ExpectedStates()
  private let berth: Berth

  /// Goes on with what another process may have left in the berth.
  ///
  /// - Throws: ``WorkerError`` `.io`.
  init(_ job: JobContext, _ files: CoordinatorFiles, at berth: Berth, copiesBytesMax: UInt64) throws(WorkerError) {
    context = job
    self.files = files
    self.berth = berth
    do throws(ArtifactError) {
      store = try ArtifactStore(directory: berth.path, durability: .cache)
      passes = try PassRecords(of: job.jobID, in: store)
    } catch { throw .io("\(error)") }
    copies = InputCopies(in: store, idleBytesMax: copiesBytesMax)
    blocks = BlockSource(job)
  }

  var id: String { context.jobID }

  /// What the coordinator is told of the cache.
  var inventory: [WireInventory] {
    WireInventory.pages(job: id, passes: passes.passes, predecessor: berth.predecessor)
  }

  /// Whether somebody has removed this process's part of the cache, as those do that clean places for temporary files.
  var isCacheGone: Bool { berth.isGone || store.isGone }

  /// Removes all that the cache has of the job.
  func removeCache() { berth.remove() }
}
