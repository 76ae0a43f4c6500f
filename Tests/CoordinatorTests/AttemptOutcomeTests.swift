import Coordinator
import Testing

@Suite struct AttemptOutcomeTests {
  @Test func theHistoryHasItAsAWord() {
    let words = ["done", "failed", "cancelled", "lost", "abandoned"]
    #expect(AttemptOutcome.allCases.map { $0.account(reason: nil) } == words)
    #expect(words.compactMap { AttemptOutcome(account: $0) } == AttemptOutcome.allCases)
  }

  @Test func aReasonComesAfterTheWord() {
    let account = AttemptOutcome.failed.account(reason: "read: no space")
    #expect(account == "failed: read: no space")
    #expect(AttemptOutcome(account: account) == .failed)
  }

  @Test(arguments: ["", "failes: damaged", "of another version"])
  func whatNoOutcomeSaysIsNone(account: String) { #expect(AttemptOutcome(account: account) == nil) }
}
