import Coordinator
import Machines
import Foundation
import Testing

@Suite struct SlurmArrayTests {
  private typealias Row = SlurmArray.Row

  private func update(_ array: inout SlurmArray, _ rows: [Row], _ seconds: Int) -> [SlurmArray.Action] {
    array.update(rows, at: .seconds(seconds))
  }

  @Test func rowsAreRead() {
    #expect(
      Row.rows(
        squeue:
          "0|RUNNING|None|n1|2026-11-27T06:00:00\n12|PENDING|Nodes required are DOWN||N/A\nN/A|x|y|z|N/A\nbroken\n")
        == [
          Row(index: 0, state: "RUNNING", nodes: "n1", start: "2026-11-27T06:00:00"),
          Row(index: 12, state: "PENDING", reason: "Nodes required are DOWN"),
        ])
  }

  @Test func aTaskThatIsTakenBackIsSlurmsToStartAgain() {
    var array = SlurmArray(count: 1)
    #expect(update(&array, [Row(index: 0, state: "PENDING", reason: "Resources")], 1) == [])
    #expect(update(&array, [Row(index: 0, state: "RUNNING", nodes: "n1")], 2) == [])
    let taken = array.update([Row(index: 0, state: "PENDING", reason: "BeginTime")], at: .seconds(3))
    #expect(taken == [.note("worker slurm-0 on n1 was taken back by Slurm and waits in its queue")])
    #expect(update(&array, [Row(index: 0, state: "PENDING", reason: "BeginTime")], 4) == [])
  }

  @Test func aTaskThatIsTakenBackAndStartedAgainBetweenTwoLooks() {
    var array = SlurmArray(count: 1)
    let first = Row(index: 0, state: "RUNNING", nodes: "n1", start: "06:00:00")
    let second = Row(index: 0, state: "RUNNING", nodes: "n2", start: "06:00:03")
    #expect(update(&array, [first], 1) == [])
    #expect(update(&array, [first], 2) == [])
    #expect(update(&array, [second], 3) == [.note("worker slurm-0 on n1 was taken back by Slurm and runs again on n2")])
    #expect(update(&array, [second], 4) == [])
  }

  @Test func aTaskThatEndedIsAskedForAgainAfterAPause() {
    var array = SlurmArray(count: 2)
    let running = Row(index: 1, state: "RUNNING", nodes: "n2")
    _ = array.update([Row(index: 0, state: "RUNNING", nodes: "n1"), running], at: .seconds(1))
    let ended = Row(index: 0, state: "TIMEOUT", reason: "TimeLimit")
    #expect(
      update(&array, [ended, running], 9)
        == [.note("worker slurm-0 on n1 ended, TIMEOUT; asking Slurm for it again")])
    #expect(update(&array, [ended, running], 9) == [])
    #expect(update(&array, [ended, running], 10) == [.requeue(index: 0)])
  }

  @Test func outOfMemoryIsNamed() {
    var array = SlurmArray(count: 1)
    _ = array.update([Row(index: 0, state: "RUNNING", nodes: "n1")], at: .seconds(1))
    let actions = array.update([Row(index: 0, state: "OUT_OF_MEMORY")], at: .seconds(2))
    #expect(
      actions == [
        .outOfMemory(worker: "slurm-0"),
        .note("worker slurm-0 on n1 ended, OUT_OF_MEMORY; asking Slurm for it again"),
      ])
  }

  @Test func anArrayThatSomeoneCancelsIsAtItsEnd() {
    var array = SlurmArray(count: 2)
    let rows = [0, 1].map { Row(index: $0, state: "CANCELLED") }
    #expect(
      update(&array, rows, 1) == [
        .note("worker slurm-0 ended, CANCELLED; it is not started again"),
        .note("worker slurm-1 ended, CANCELLED; it is not started again"),
        .exhausted("worker slurm-1 ended, CANCELLED; it is not started again"),
      ])
    #expect(update(&array, rows, 2) == [])
  }

  @Test func whatFailsAgainAndAgainIsGivenUp() {
    var array = SlurmArray(count: 1)
    var actions: [SlurmArray.Action] = []
    for second in 0..<1000 where !actions.contains(where: { if case .exhausted = $0 { true } else { false } }) {
      actions += array.update([Row(index: 0, state: "FAILED")], at: .seconds(second))
    }
    #expect(actions.filter { $0 == .requeue(index: 0) }.count == RestartPolicy.restartsMax)
    #expect(actions.last == .exhausted("worker slurm-0 ended, FAILED; it is not started again"))
  }

  /// What it does in each of many lives, each of which begins in Slurm's queue and ends after so many seconds of running.
  private func lives(_ count: Int, of seconds: Int) -> [SlurmArray.Action] {
    var array = SlurmArray(count: 1)
    return (0..<count).flatMap { life -> [SlurmArray.Action] in
      let start = 1000 * life
      return update(&array, [Row(index: 0, state: "PENDING", reason: "BeginTime")], start)
        + update(&array, [Row(index: 0, state: "RUNNING", nodes: "n1")], start + 120)
        + update(&array, [Row(index: 0, state: "FAILED")], start + 120 + seconds)
        // When the pause is over.
        + update(&array, [Row(index: 0, state: "FAILED")], start + 900)
    }
  }

  @Test func timeInTheQueueIsNoLife() {
    let actions = lives(100, of: 2)
    #expect(actions.filter { $0 == .requeue(index: 0) }.count == RestartPolicy.restartsMax)
    #expect(actions.last == .exhausted("worker slurm-0 on n1 ended, FAILED; it is not started again"))
    #expect(lives(100, of: 100).filter { $0 == .requeue(index: 0) }.count == 100)
  }
}

@Suite struct SpeedTests {
  @Test func aLineIsReadBack() {
    let speed = MatrixSpeed(threads: 3, operationsPerSecond: 1.25e10)
    #expect(MatrixSpeed(line: speed.line) == speed)
    for line in ["", "crvq-speed-1 3", "crvq-speed-1 0 1e9", "crvq-speed-1 3 nan", "crvq-speed-2 3 1e9", "x 3 1e9"] {
      #expect(MatrixSpeed(line: line) == nil)
    }
  }

  @Test func allThreadsAreMeasured() {
    let speed = MatrixSpeed.measure(threads: 2, seconds: 0.05)
    #expect(speed.threads == 2 && speed.operationsPerSecond > 1e6)
  }
}

@Suite struct SSHTests {
  @Test func wordsReachTheOtherShellAsTheyAre() {
    #expect(ShellWord.quoted("/opt/crvq-1.0:a=b,c") == "/opt/crvq-1.0:a=b,c")
    #expect(ShellWord.quoted("it's") == "'it'\\''s'")
    #expect(ShellWord.quoted("$(x) `y`") == "'$(x) `y`'")
    #expect(ShellWord.quoted("") == "''")
  }

  @Test func aWorkerIsToldWhereItsKeysAre() {
    func words(_ keys: WorkerKeys) -> ArraySlice<String> {
      var command = WorkerCommand(name: "w", threads: 2)
      command.keys = keys
      return command.arguments(connecting: "tcp://h:1").dropFirst(6)
    }
    #expect(words(.none) == [])
    #expect(words(.insecure) == ["--insecure"])
    #expect(words(.directory("/k")) == ["--keys", "/k"])
    #expect(words(.standardInput) == ["--keys", "-"])
  }

  @Test func theHostIsNoOption() {
    let words = SSHCommand(host: "node1", options: ["-p", "2222"]).arguments(script: "echo $1", ["a b"])
    #expect(words.prefix(2) == ["-p", "2222"])
    #expect(words.suffix(3) == ["--", "node1", "sh -c 'echo $1' crvq 'a b'"])
    #expect(words.contains("-oBatchMode=yes"))
  }

  private let answer = """
    Welcome to node1!
    crvq-probe-1
    cores 8
    memory 1024 kB
    directory /home/ada/.cache/crvq/abc
    """

  @Test func aProbeIsRead() throws {
    let bare = try #require(HostProbe(answer: answer, program: nil))
    #expect(HostProbe(answer: answer + "\n   \n", program: nil) == bare, "a line of nothing")
    #expect((bare.cores, bare.memory.bytes) == (8, 1 << 20))
    #expect(bare.source(program: nil, version: "1") == .brought(directory: "/home/ada/.cache/crvq/abc"))
    let more = "\ncopy\nversion 0\npath /usr/bin/crvq-worker\n"
    let copied = try #require(HostProbe(answer: answer + more, program: nil))
    #expect(copied.source(program: nil, version: "1") == .there("/home/ada/.cache/crvq/abc/crvq-worker"))
    #expect(copied.source(program: nil, version: "0") == .there("/usr/bin/crvq-worker"))
    let named = try #require(HostProbe(answer: answer + "\nprogram\n", program: "/opt/w"))
    #expect(named.source(program: "/opt/w", version: "1") == .there("/opt/w"))
    let missing = try #require(HostProbe(answer: answer, program: "/opt/w"))
    #expect(missing.source(program: "/opt/w", version: "1") == .missing)
  }

  @Test(arguments: ["", "crvq-probe-1\ncores x\n", "cores 8\nmemory 1 kB\ndirectory /d\n"])
  func whatIsNoAnswerIsRefused(answer: String) { #expect(HostProbe(answer: answer, program: nil) == nil) }
}
