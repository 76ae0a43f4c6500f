import JobGraph
import Messaging

/// Who is connected how: workers by id, and the connection each speaks on now.
struct WorkerRoster {
  /// Processes that a coordinator remembers, those that are gone among them: their results may still come.
  static let workersMax = 65_536

  private(set) var workers: [WorkerID: WorkerDescription] = [:]
  /// The connections of workers that are part of the job.
  private(set) var connected: [WorkerID: Peer] = [:]
  private var ids: [Peer: WorkerID] = [:]
  /// The worker that joined last under each name.
  private var latest: [String: WorkerID] = [:]
  /// The last connections of workers that fell silent. A process that was stopped for a while finds there what it is told.
  private(set) var silent: [WorkerID: Peer] = [:]
  /// Bytes that each had in memory when it said so last, of workers that are part of the job.
  private(set) var residentMemory: [WorkerID: UInt64] = [:]

  subscript(_ worker: WorkerID) -> WorkerDescription? { workers[worker] }

  /// The last worker of a name, which may be lost.
  func worker(named name: String) -> WorkerID? { latest[name] }
  func peer(of worker: WorkerID) -> Peer? { connected[worker] }
  func worker(at peer: Peer) -> WorkerID? { ids[peer] }
  func name(of worker: WorkerID) -> String { workers[worker]?.name ?? worker.description }

  /// A worker said Ready on a connection, perhaps not for the first time.
  mutating func join(_ worker: WorkerDescription, at peer: Peer) {
    if let old = connected[worker.id] { ids[old] = nil }
    silent[worker.id] = nil
    workers[worker.id] = worker
    latest[worker.name] = worker.id
    connected[worker.id] = peer
    ids[peer] = worker.id
  }

  /// - Parameter residentMemory: in bytes; 0 from a worker that cannot tell.
  mutating func note(_ worker: WorkerID, residentMemory bytes: UInt64) {
    residentMemory[worker] = bytes > 0 && connected[worker] != nil ? bytes : nil
  }

  /// The worker's connection means nothing any more. Its description stays, for results still on their way.
  mutating func leave(_ worker: WorkerID, becauseSilent isSilent: Bool = false) {
    guard let peer = connected.removeValue(forKey: worker) else { return }
    ids[peer] = nil
    residentMemory[worker] = nil
    if isSilent { silent[worker] = peer }
  }
}
