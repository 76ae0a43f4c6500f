import Coordinator
import Testing

@Suite struct JobPhaseTests {
  @Test(
    arguments: [
      (.waiting, "waiting for workers"), (.running, "running"), (.writing, "writing the output"), (.done, "done"),
      (JobPhase(rawValue: "of another version"), "of another version"),
    ] as [(JobPhase, String)])
  func itIsStoredAsItsText(phase: JobPhase, text: String) throws {
    let pace = JobPace(
      phase: phase, progress: 0.5, blocks: 1, linears: 7, collectedBlocks: 1, fittedBlocks: 0, tasksPerMinute: 3)
    let stored = try JSONForm.record(pace)
    #expect(stored.contains("\"phase\":\"\(text)\""))
    #expect(try JSONForm.value(JobPace.self, ofRecord: stored) == pace)
  }
}
