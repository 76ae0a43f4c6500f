import Foundation
import Synchronization

/// A fixed set of threads that share one loop at a time.
///
/// Numerical work runs here and never on Swift's cooperative pool. Pieces are claimed in any order, so a caller whose
/// result must not depend on the number of threads makes each index write its own output and sums outputs in index order.
public final class ThreadTeam: Sendable {
  /// The number of threads that take part in a loop, the caller's among them.
  public let threadCount: Int

  /// One running loop. The body outlives the loop because ``forEach(_:_:)`` waits for every helper to leave it.
  private final class Loop: Sendable {
    let count: Int
    let next = Atomic<Int>(0)
    nonisolated(unsafe) let body: (Int) -> Void

    init(count: Int, body: @escaping (Int) -> Void) {
      self.count = count
      self.body = body
    }

    func run(afterEach observer: (() -> Void)? = nil) {
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if index >= count { return }
        body(index)
        observer?()
      }
    }
  }

  /// What the helpers see. They hold this and not the team, so that a team nobody uses any more ends its threads.
  private final class Rounds: Sendable {
    let condition = NSCondition()
    // All below are guarded by `condition`.
    nonisolated(unsafe) var generation = 0
    nonisolated(unsafe) var helpersInside = 0
    nonisolated(unsafe) var loop: Loop?
    nonisolated(unsafe) var isClosed = false

    /// A helper's life: wait for a loop not seen before, take part in it, say so when leaving it.
    func serve() {
      var seen = 0
      condition.lock()
      while !isClosed {
        guard let loop, generation != seen else {
          condition.wait()
          continue
        }
        seen = generation
        helpersInside += 1
        condition.unlock()
        loop.run()
        condition.lock()
        helpersInside -= 1
        if helpersInside == 0 { condition.broadcast() }
      }
      condition.unlock()
    }
  }

  private let rounds = Rounds()
  /// Of the one caller that the team belongs to.
  nonisolated(unsafe) private var observer: (() -> Void)?

  /// Starts `threads - 1` helper threads; the caller of ``forEach(_:_:)`` is the last one.
  public init(threads: Int) {
    precondition(threads >= 1, "a team has at least one thread")
    threadCount = threads
    for index in 1..<threads {
      let helper = Thread { [rounds] in rounds.serve() }
      helper.name = "team-\(index)"
      helper.stackSize = 8 << 20
      helper.start()
    }
  }

  deinit {
    rounds.condition.lock()
    rounds.isClosed = true
    rounds.condition.broadcast()
    rounds.condition.unlock()
  }

  /// The number of processors this process may run on: those of its affinity, which taskset, Slurm and cpusets narrow.
  public static var availableProcessors: Int {
    // sched_getaffinity is a GNU extension that Swift does not see.
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let name = "Cpus_allowed:"
    let mask = status.split(separator: "\n").first { $0.hasPrefix(name) }?.dropFirst(name.count) ?? ""
    let count = mask.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount }
    return count > 0 ? count : ProcessInfo.processInfo.activeProcessorCount
  }

  /// Runs `body` for every index in `0..<count`, over all threads of the team, and returns when the last one is done.
  ///
  /// One loop at a time: a team belongs to one caller. `body` must not call back into the same team.
  public func forEach(_ count: Int, _ body: (Int) -> Void) {
    if count <= 0 { return }
    defer { observer?() }
    if threadCount == 1 || count == 1 {
      for index in 0..<count {
        body(index)
        observer?()
      }
      return
    }
    withoutActuallyEscaping(body) { body in
      let loop = Loop(count: count, body: body)
      rounds.condition.lock()
      rounds.loop = loop
      rounds.generation += 1
      rounds.condition.broadcast()
      rounds.condition.unlock()

      loop.run(afterEach: observer)

      rounds.condition.lock()
      rounds.loop = nil
      while rounds.helpersInside > 0 { rounds.condition.wait() }
      rounds.condition.unlock()
    }
  }

  /// Has `observer` called on the caller's thread after each loop that `body` runs here, and after those pieces of it that this
  /// thread ran: for who waits for long work, and wants to know that it gets on.
  public func observed<Result>(by observer: @escaping () -> Void, _ body: () throws -> Result) rethrows -> Result {
    self.observer = observer
    defer { self.observer = nil }
    return try body()
  }

  /// Splits `0..<count` into pieces of `grain` indices (the last may be shorter) and runs `body` for each piece.
  /// The pieces depend on `count` and `grain` only, never on the number of threads.
  public func forEachRange(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
    precondition(grain > 0, "a piece holds at least one index")
    forEach((count + grain - 1) / grain) { piece in
      body(piece * grain..<min(count, (piece + 1) * grain))
    }
  }
}
