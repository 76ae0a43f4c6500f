import Foundation
import Messaging
import TestSupport
import Testing

/// What the coordinator does about workers that send too much, or whose key is taken off the list.
@Suite struct ControlLimitsTests {
  private let directory: TemporaryDirectory
  private let here: ZMQContext

  init() throws {
    directory = try TemporaryDirectory()
    here = try ZMQContext { _ in }
  }

  private func worker(_ endpoint: String, _ security: SocketSecurity) throws -> WorkerLink {
    try WorkerLink(connecting: endpoint, as: Sample.ready, context: ZMQContext(), security: security)
  }

  /// Events up to the first that `isLast` holds for.
  private func events(
    of link: CoordinatorLink, until isLast: (CoordinatorLink.Event) -> Bool
  ) throws -> [CoordinatorLink.Event] {
    var events: [CoordinatorLink.Event] = []
    let deadline = ContinuousClock.now + patience
    while let event = link.next(until: deadline) {
      events.append(event)
      if isLast(event) { return events }
    }
    throw CancellationError()
  }

  private func isReady(_ event: CoordinatorLink.Event) -> Bool {
    if case .message(.ready, _) = event { true } else { false }
  }

  @Test func whoSendsTooMuchIsNamedOnceAndOthersAreHeard() throws {
    let link = try CoordinatorLink(
      binding: "tcp://127.0.0.1:*", context: here, security: .plain, limits: .control, messagesPerSecond: 100)
    let flood = try ZMQSocket(.dealer, context: ZMQContext(), limits: .control)
    try flood.connect(link.endpoint)
    let message = try WorkerMessage.ready(Sample.ready).frames()
    for _ in 0..<5000 { while try flood.send(message) != .sent {} }
    let worker = try worker(link.endpoint, .plain)
    var refused: [String] = []
    var readies = 0
    var isHeard = false
    var last: Peer?
    while !isHeard || refused.isEmpty {
      for event in try events(of: link, until: { _ in true }) {
        if case .refused(let offender, let reason, let count) = event {
          refused.append("\(offender) \(reason) \(count)")
        }
        guard case .message(.ready, let peer) = event else { continue }
        readies += 1
        // The second connection.
        isHeard = isHeard || last != nil && last != peer
        last = peer
      }
    }
    #expect(refused == ["127.0.0.1 more than 100 messages a second 1"])
    #expect(readies < 2500)
    withExtendedLifetime((worker, flood)) {}
  }

  @Test func aKeyThatIsWithdrawnCountsNoMore() throws {
    let path = directory.path + "/keys"
    try KeyDirectory.create(at: path)
    let keys = KeyDirectory(path)
    try keys.addWorker(named: "node-7")
    let coordinator = SocketSecurity.curve(try keys.credentials(of: .coordinator))
    let doomed = SocketSecurity.curve(try keys.credentials(of: .worker(name: "node-7")))
    let other = SocketSecurity.curve(try keys.credentials(of: .worker(name: "")))
    let link = try CoordinatorLink(binding: "tcp://127.0.0.1:*", context: here, security: coordinator)
    let workers = try [worker(link.endpoint, doomed), worker(link.endpoint, other)]
    // Who waits long for a welcome says Ready again.
    var welcomed: Set<PublicKey?> = []
    while welcomed.count < workers.count {
      guard case .message(_, let peer)? = try events(of: link, until: isReady).last else { continue }
      if welcomed.insert(peer.key).inserted { try link.send(.welcome(Sample.welcome), to: peer) }
    }
    #expect(unlink("\(path)/allowed/node-7.pub") == 0)
    let last = try events(of: link) { if case .withdrawn = $0 { true } else { false } }.last
    guard case .withdrawn(let peer)? = last else { return }
    #expect(peer.key == doomed.publicKey)
    // The other's heartbeats go on.
    _ = try events(of: link) {
      if case .message(.heartbeat, let peer) = $0 { peer.key == other.publicKey } else { false }
    }
    // And whoever is new with the old key finds the door closed.
    let late = try worker(link.endpoint, doomed)
    let deadline = ContinuousClock.now + patience
    var isRefused = false
    while !isRefused, let event = late.next(until: deadline) {
      if case .unsuited(_, isFinal: true) = event { isRefused = true }
    }
    #expect(isRefused)
    withExtendedLifetime(workers) {}
  }
}
