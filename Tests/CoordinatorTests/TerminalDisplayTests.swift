import Coordinator
import JobGraph
import Testing

@Suite struct TerminalDisplayTests {
  private func moment(workers: Int) -> JobMoment {
    var progress = JobProgress(blockCount: 4)
    progress.collectedBlocks = 4
    progress.fits.done = 14
    progress.fits.total = 28
    progress.verifiedBlocks = 1
    let ids = (0..<workers).map { WorkerID("id-\($0)") }
    progress.running = Dictionary(uniqueKeysWithValues: ids.map { ($0, []) })
    let pace = JobPace(
      phase: .running, progress: 0.5, blocks: 4, linears: 28, collectedBlocks: 4, fittedBlocks: 2, tasksPerMinute: 12,
      remainingSeconds: 65)
    let names = ids.enumerated().map { index, id in (id, "worker-\(index < 10 ? "0" : "")\(index)") }
    return JobMoment(
      progress: progress, remarks: [:], workerNames: Dictionary(uniqueKeysWithValues: names), elapsed: 65, pace: pace)
  }

  @Test func tasksAreShownWithWhatTheirWorkersSay() {
    var moment = moment(workers: 3)
    let fit = TaskID.fit(block: 2, linear: 0)
    let collect = TaskID.collect(block: 3, shard: 1)
    moment.progress.running[WorkerID("id-0")] = [collect, fit]
    moment.progress.setAside = [WorkerID("id-2")]
    moment.remarks[WorkerID("id-0")] = [fit: "round 3"]
    let lines = TerminalDisplay.screen(moment, width: 80)
    #expect(lines.first == "running  12 tasks/min  1 min 05 s so far, 1 min 05 s left")
    #expect(
      lines.suffix(3).map {
        $0.split(separator: " ", maxSplits: 1).map { $0.drop { $0 == " " } }.joined(separator: "|")
      }
        == [
          "worker-00|collect of block 3 for shard 1, fit of block 2 self_attn.q_proj: round 3", "worker-01|idle",
          "worker-02|set aside",
        ])
  }

  @Test func barsAreOfTheWorkThatThereIs() {
    var moment = moment(workers: 0)
    var lines = TerminalDisplay.screen(moment, width: 80)
    #expect(lines.dropFirst().map { $0.split(separator: " ").first } == ["collected", "fitted", "verified"])
    #expect(lines[2].filter { $0 == "█" }.count == lines[2].filter { $0 == "░" }.count, "half of the fits")
    moment.progress.tunes.total = 4
    moment.progress.steps.total = 9
    lines = TerminalDisplay.screen(moment, width: 80)
    #expect(
      lines.dropFirst().map { $0.split(separator: " ").first }
        == ["collected", "fitted", "tuned", "distilled", "verified"])
    moment.progress.evaluations.total = 2
    lines = TerminalDisplay.screen(moment, width: 80)
    #expect(lines.dropFirst().map { $0.split(separator: " ").first } == ["evaluated"])
  }

  @Test func manyWorkersAreCounted() {
    let lines = TerminalDisplay.screen(moment(workers: 15), width: 80)
    #expect(lines.last == "  and 3 more workers")
    #expect(lines.count { $0.hasSuffix("idle") } == 12)
  }
}
