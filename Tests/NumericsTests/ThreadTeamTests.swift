import Foundation
import Numerics
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
  @Test(arguments: [1, 2, 5]) func everyIndexRunsExactlyOnce(threads: Int) {
    let team = ThreadTeam(threads: threads)
    for count in [0, 1, 2, 7, 1000] {
      let visits = Mutex([Int](repeating: 0, count: count))
      team.forEach(count) { index in visits.withLock { $0[index] += 1 } }
      #expect(visits.withLock { $0 } == [Int](repeating: 1, count: count))
    }
  }

  /// Every body waits until all threads are inside; on fewer threads it would wait in vain.
  @Test(arguments: [2, 3, 5]) func allThreadsAreInsideALoopAtOnce(threads: Int) {
    let team = ThreadTeam(threads: threads)
    let inside = Atomic<Int>(0)
    let met = Atomic<Int>(0)
    let deadline = ContinuousClock.now + .seconds(30)
    team.forEach(threads) { _ in
      inside.wrappingAdd(1, ordering: .relaxed)
      while inside.load(ordering: .relaxed) < threads, ContinuousClock.now < deadline {
        Thread.sleep(forTimeInterval: 0.001)
      }
      if inside.load(ordering: .relaxed) == threads { met.wrappingAdd(1, ordering: .relaxed) }
    }
    #expect(met.load(ordering: .relaxed) == threads)
  }

  @Test func manyShortLoopsEnd() {
    let team = ThreadTeam(threads: 4)
    let total = Atomic<Int>(0)
    for _ in 0..<20_000 { team.forEach(3) { total.wrappingAdd($0, ordering: .relaxed) } }
    #expect(total.load(ordering: .relaxed) == 60_000)
  }

  /// On the caller's thread, after each piece that it ran and after each loop.
  @Test(arguments: [1, 3]) func whoObservesIsCalledAfterPiecesAndLoops(threads: Int) {
    let team = ThreadTeam(threads: threads)
    let caller = pthread_self()
    let ofCaller = Atomic<Int>(0)
    let callers = Mutex<[pthread_t]>([])
    let deadline = ContinuousClock.now + .seconds(30)
    let loop = {
      let before = ofCaller.load(ordering: .relaxed)
      team.forEach(5) { _ in
        if pthread_equal(pthread_self(), caller) != 0 { ofCaller.wrappingAdd(1, ordering: .relaxed) }
        // Else the others might leave it none.
        while ofCaller.load(ordering: .relaxed) == before, ContinuousClock.now < deadline {
          Thread.sleep(forTimeInterval: 0.001)
        }
      }
    }
    team.observed(by: { callers.withLock { $0.append(pthread_self()) } }) { for _ in 1...3 { loop() } }
    let pieces = ofCaller.load(ordering: .relaxed)
    loop()
    #expect(pieces >= 3)
    #expect(callers.withLock { $0.count } == pieces + 3)
    #expect(callers.withLock { $0.allSatisfy { pthread_equal($0, caller) != 0 } })
  }
}
