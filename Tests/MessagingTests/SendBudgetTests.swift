import Messaging
import Synchronization
import Testing

@Suite struct SendBudgetTests {
  private static let patience = Duration.seconds(5)

  /// Of 100 bytes, 40 of them for each peer.
  private func budget(onRelease: @escaping @Sendable () -> Void = {}) -> SendBudget {
    var limits = SendBudget.Limits()
    limits.total = 100
    limits.peer = 40
    limits.patience = Self.patience
    return SendBudget(limits, onRelease: onRelease)
  }

  /// One of 20 bytes for each peer.
  private func frames(for peers: ClosedRange<UInt8>, of budget: SendBudget) throws -> [MessageFrame] {
    try peers.map { peer in try budget.frame(count: 20, for: [peer]) }
  }

  @Test func bytesCountUntilTheirFrameIsGone() throws {
    let releases = Atomic<Int>(0)
    let budget = budget { releases.wrappingAdd(1, ordering: .relaxed) }
    var frames = try [30, 0, 0].map { count in try budget.frame(count: count, for: [1]) }
    withExtendedLifetime(frames) {
      #expect(frames.map(\.count) == [30, 0, 0])
      #expect(budget.bytes == 30)
    }
    frames.removeAll()
    #expect(budget.bytes == 0)
    #expect(releases.load(ordering: .relaxed) == 3)
  }

  /// Whatever becomes of it: here its socket is closed, and its context ended, before it was sent.
  @Test func bytesOfAFrameCountUntilLibzmqLetsGoOfThem() throws {
    let budget = budget()
    let context = try ZMQContext()
    var socket: ZMQSocket? = try ZMQSocket(.dealer, context: context, limits: .artifactClient)
    // Where nobody listens.
    try socket?.connect("tcp://127.0.0.1:1")
    let frame = try budget.frame(count: 30, for: [1])
    let outcome = try socket?.send([], data: frame)
    #expect(outcome == .sent)
    #expect(frame.count == 0)
    #expect(budget.bytes == 30)
    socket = nil
    context.terminate()
    #expect(budget.bytes == 0)
  }

  @Test func onePeerHasAFewChunksOnTheirWay() throws {
    let budget = budget()
    var frames: [MessageFrame] = []
    for _ in 0..<4 {
      #expect(budget.hasRoom(for: [1]))
      frames.append(try budget.frame(count: 10, for: [1]))
    }
    #expect(!budget.hasRoom(for: [1]))
    #expect(budget.hasRoom(for: [2]))
    frames.removeLast()
    #expect(budget.hasRoom(for: [1]))
  }

  @Test func allTogetherHaveTheTotal() throws {
    let budget = budget()
    let peers: ClosedRange<UInt8> = 1...6
    var frames = try frames(for: 1...5, of: budget)
    for peer in peers { #expect(!budget.hasRoom(for: [peer])) }
    frames.removeLast()
    for peer in peers { #expect(budget.hasRoom(for: [peer])) }
    #expect(frames.count == 4)
  }

  /// They keep nobody waiting; but beyond the total, nobody has more than one chunk.
  @Test func peersThatDoNotReadAreNotCounted() throws {
    let budget = budget()
    let first = try frames(for: 1...5, of: budget)
    budget.noteStalled(at: ContinuousClock.now + Self.patience / 2)
    #expect(!budget.hasRoom(for: [6]))
    budget.noteStalled(at: ContinuousClock.now + Self.patience * 2)
    #expect(budget.hasRoom(for: [6]))
    #expect(!budget.hasRoom(for: [1]))
    let others = try frames(for: 6...9, of: budget)
    #expect(budget.hasRoom(for: [10]))
    #expect(!budget.hasRoom(for: [6]))
    let last = try frames(for: 10...10, of: budget)
    #expect(!budget.hasRoom(for: [11]))
    // Until those do not read either.
    budget.noteStalled(at: ContinuousClock.now + Self.patience * 2)
    #expect(budget.hasRoom(for: [11]))
    #expect(budget.bytes == 200)
    withExtendedLifetime((first, others, last)) {}
  }
}
