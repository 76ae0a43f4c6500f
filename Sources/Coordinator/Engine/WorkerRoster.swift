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
  /// When each of them was given up, until ``takeStill(by:)`` has named it.
  private var silentSince: [WorkerID: ContinuousClock.Instant] = [:]
  /// When the connection of a worker was found to be closed, of those that have not been heard of since.
  private var vanishedAt: [WorkerID: ContinuousClock.Instant] = [:]
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
    silentSince[worker.id] = nil
    vanishedAt[worker.id] = nil
    workers[worker.id] = worker
    latest[worker.name] = worker.id
    connected[worker.id] = peer
    ids[peer] = worker.id
  }

  /// - Parameter residentMemory: in bytes; 0 from a worker that cannot tell.
  mutating func note(_ worker: WorkerID, residentMemory bytes: UInt64) {
    residentMemory[worker] = bytes > 0 && connected[worker] != nil ? bytes : nil
  }

  /// A message to the worker found its connection closed, perhaps not for the first time.
  mutating func noteVanished(_ worker: WorkerID, at now: ContinuousClock.Instant) {
    if connected[worker] != nil, vanishedAt[worker] == nil { vanishedAt[worker] = now }
  }

  mutating func noteHeard(_ worker: WorkerID) { vanishedAt[worker] = nil }

  /// Workers whose connections were found closed by then, and that have not been heard of since.
  func vanished(by time: ContinuousClock.Instant) -> [WorkerID] {
    vanishedAt.filter { $0.value <= time }.keys.sorted()
  }

  /// The names of workers that were given up for their silence by `time`, and when. Each is named once; none whose name another
  /// has taken since.
  mutating func takeStill(by time: ContinuousClock.Instant) -> [(name: String, since: ContinuousClock.Instant)] {
    let still = silentSince.filter { $0.value <= time }
    for worker in still.keys { silentSince[worker] = nil }
    return still.filter { latest[name(of: $0.key)] == $0.key }
      .map { (name: name(of: $0.key), since: $0.value) }
      .sorted { $0.name < $1.name }
  }

  /// Nobody is held to have been away in a time when this side did not listen.
  mutating func allow(_ gap: Duration) {
    vanishedAt = vanishedAt.mapValues { $0 + gap }
    silentSince = silentSince.mapValues { $0 + gap }
  }

  /// The worker's connection means nothing any more. Its description stays, for results still on their way.
  ///
  /// - Parameter silence: when it was given up, if that was for its silence.
  mutating func leave(_ worker: WorkerID, silentSince silence: ContinuousClock.Instant? = nil) {
    guard let peer = connected.removeValue(forKey: worker) else { return }
    ids[peer] = nil
    residentMemory[worker] = nil
    vanishedAt[worker] = nil
    guard let silence else { return }
    silent[worker] = peer
    silentSince[worker] = silence
  }
}
