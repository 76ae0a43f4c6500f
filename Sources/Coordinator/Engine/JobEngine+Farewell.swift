import JobGraph
import Messaging

extension JobEngine {
  /// Tells workers that this coordinator ends, until each has said goodbye or `patience` is at an end.
  ///
  /// A worker that is not told waits for a coordinator that never comes. One that was stopped for a while finds the message on
  /// the connection it had, if that is still there, or makes a new one and is told on it.
  func bidFarewell(to workers: [WorkerID: Peer], isFinished: Bool, within patience: Duration) {
    var left = workers
    for peer in left.values { sayGoodbye(to: peer, isFinished) }
    let deadline = ContinuousClock.now + patience
    while !left.isEmpty, .now < deadline {
      switch link.next(until: deadline) {
      case .message(.goodbye, let peer): left = left.filter { $0.value != peer }
      case .message(.ready(let ready), let peer):
        left[WorkerDescription(ready, key: peer.key).id] = peer
        sayGoodbye(to: peer, isFinished)
      case .message(.heartbeat, let peer): sayGoodbye(to: peer, isFinished)
      case .undelivered(_, let peer, .vanished): left = left.filter { $0.value != peer || roster.silent[$0.key] != nil }
      case .failed: return
      default: continue
      }
    }
  }

  private func sayGoodbye(to peer: Peer, _ isFinished: Bool) {
    var goodbye = WireShutdown()
    goodbye.reason = isFinished ? "the job is done" : "the coordinator ends"
    goodbye.isFinished = isFinished
    try? link.send(.shutdown(goodbye), to: peer)
  }
}
