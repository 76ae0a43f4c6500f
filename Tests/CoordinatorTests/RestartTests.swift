import Coordinator
import Foundation
import JobGraph
import Machines
import Synchronization
import TestSupport
import Testing

@Suite struct RestartTests {
  @Test func thePauseDoublesUpToALimit() {
    var policy = RestartPolicy()
    let pauses = (1...RestartPolicy.restartsMax).map { _ in policy.ended(.exited(70), after: .seconds(1)) }
    #expect(
      pauses.prefix(3) == [
        .restart(after: .milliseconds(500)), .restart(after: .seconds(1)), .restart(after: .seconds(2)),
      ])
    #expect(pauses.last == .restart(after: RestartPolicy.longestPause))
    #expect(policy.ended(.exited(70), after: .seconds(1)) == .giveUp)
  }

  @Test func aSteadyLifeStartsThePauseOver() {
    var policy = RestartPolicy()
    for _ in 1...5 { _ = policy.ended(.killed(signal: SIGKILL), after: .seconds(1)) }
    #expect(policy.ended(.killed(signal: SIGKILL), after: .seconds(61)) == .restart(after: RestartPolicy.shortestPause))
  }

  /// Those of Slurm end with every allocation, however long the job is.
  @Test func thoseThatLivedLongAreAlwaysStartedAgain() {
    var policy = RestartPolicy()
    for _ in 1...100 {
      #expect(policy.ended(.exited(75), after: .seconds(3600)) == .restart(after: RestartPolicy.shortestPause))
    }
  }

  /// The machine has been reached before; that it is not now tells nothing of the worker there.
  @Test func aConnectionIsTriedForAsLongAsItTakes() {
    var policy = RestartPolicy(outlastsOutages: true)
    for _ in 1...100 { #expect(policy.ended(.noConnection, after: .seconds(15)) != .giveUp) }
    #expect(policy.ended(.noConnection, after: .seconds(15)) == .restart(after: RestartPolicy.longestPause))
    for _ in 1...RestartPolicy.restartsMax { #expect(policy.ended(.exited(70), after: .seconds(1)) != .giveUp) }
    #expect(policy.ended(.exited(70), after: .seconds(1)) == .giveUp)
  }

  @Test func aConnectionThatNeverCameAboutIsGivenUp() {
    var policy = RestartPolicy()
    for _ in 1...RestartPolicy.restartsMax { #expect(policy.ended(.noConnection, after: .zero) != .giveUp) }
    #expect(policy.ended(.noConnection, after: .zero) == .giveUp)
  }

  @Test(arguments: [64, 65, 126, 127])
  func whatWouldEndTheSameWayIsNotStartedAgain(status: Int32) {
    var policy = RestartPolicy()
    #expect(policy.ended(.exited(status), after: .seconds(100)) == .giveUp)
  }

  @Test func endsAreNamed() {
    #expect("\(ProcessEnd(status: 75))" == "ended with status 75, the coordinator was lost")
    #expect("\(ProcessEnd(status: 1))" == "ended with status 1")
    #expect("\(ProcessEnd(status: 137))" == "was killed by signal 9, Killed")
    #expect(ProcessEnd(status: 137).isKill)
    #expect("\(ProcessEnd(status: 255))" == "ended with status 255, no connection")
  }
}

@Suite struct OutOfMemoryTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func eachKillOfTheKernelExplainsOneDeath() {
    let count = Mutex(3)
    let watch = OutOfMemoryWatch { count.withLock { $0 } }
    let kill = ProcessEnd.killed(signal: SIGKILL)
    // Somebody killed it.
    #expect(!watch.explains(kill))
    count.withLock { $0 = 4 }
    #expect(!watch.explains(.killed(signal: SIGSEGV)))
    #expect(!watch.explains(.exited(70)))
    #expect(watch.explains(kill))
    #expect(!watch.explains(kill))
  }

  @Test func withoutACountNothingIsExplained() {
    #expect(!OutOfMemoryWatch { nil }.explains(.killed(signal: SIGKILL)))
  }

  private func group(_ files: [String: String]) throws {
    for (name, text) in files {
      let path = directory.file(name)
      try FileManager.default.createDirectory(
        atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try directory.write(name, text)
    }
  }

  @Test func bothVersionsOfControlGroupsAreRead() throws {
    let root = directory.path
    try group([
      "job/memory.events": "low 0\noom 5\noom_kill 2\n", "job/memory.max": "1000\n", "job/memory.current": "700\n",
      "job/step/memory.events": "oom_kill 1\n", "job/step/memory.max": "max\n", "memory.max": "5000\n",
      "job/memory.stat": "anon 1\ninactive_file 200\n", "memory/old/memory.oom_control": "under_oom 0\noom_kill 7\n",
      "memory/old/memory.limit_in_bytes": "9223372036854771712\n", "memory/old/memory.usage_in_bytes": "1\n",
    ])
    let new = try #require(ControlGroup(membership: "0::/job\n", root: root))
    #expect(new.outOfMemoryKills == 2)
    #expect(new.memoryLeft?.bytes == 500 && new.memoryLimit?.bytes == 1000)
    // A limit holds for the groups below it too.
    let step = try #require(ControlGroup(membership: "0::/job/step\n", root: root))
    #expect(step.outOfMemoryKills == 1 && step.memoryLimit?.bytes == 1000 && step.memoryLeft?.bytes == 500)
    let old = try #require(ControlGroup(membership: "9:name=systemd:/\n4:cpu,memory:/old\n0::/\n", root: root))
    #expect(old.outOfMemoryKills == 7)
    #expect(old.memoryLeft == nil && old.memoryLimit == nil)
    #expect(ControlGroup(membership: "0::/elsewhere\n", root: root) == nil)
    #expect(ControlGroup(membership: "", root: root) == nil)
  }
}
