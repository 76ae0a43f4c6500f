import CRVQ
import Coordinator
import JobGraph
import Testing

@Suite struct JobOptionsTests {
  @Test func oneInEightIsHeldOutByDefault() throws {
    let sizes = try JobOptions.resolve(available: 64, sequences: nil, heldOut: nil, shards: nil, tokens: "t")
    #expect(sizes == (64, 8, 16))
    let few = try JobOptions.resolve(available: 3, sequences: nil, heldOut: nil, shards: nil, tokens: "t")
    #expect(few == (3, 1, 3))
  }

  @Test func moreSequencesThanTheFileHasAreRefused() {
    #expect(
      throws: CoordinatorError.badInput(
        "t: --sequences asks for 9 sequences, the file has 8; ask for fewer or tokenize more")
    ) {
      try JobOptions.resolve(available: 8, sequences: 9, heldOut: nil, shards: nil, tokens: "t")
    }
  }

  @Test func oneSequenceIsTooFew() {
    #expect(throws: CoordinatorError.self) {
      try JobOptions.resolve(available: 1, sequences: nil, heldOut: nil, shards: nil, tokens: "t")
    }
  }

  @Test(arguments: [0, 8, 9]) func heldOutSequencesLeaveSomeToFit(heldOut: Int) {
    #expect(throws: CoordinatorError.usage("--held-out is \(heldOut), expected 1 to 7 of the 8 sequences in use")) {
      try JobOptions.resolve(available: 8, sequences: nil, heldOut: heldOut, shards: nil, tokens: "t")
    }
  }

  /// Tuned jobs have a number of their own: what tunes do has changed more often than what fits do.
  @Test(arguments: [(0, nil, 5), (1, nil, 9), (0, 2, 8), (1, 2, 9)])
  func aJobOfAnotherReleaseIsReadAndNotGoneOnWith(tuneEpochs: Int, distillEpochs: Int?, number: Int) throws {
    let refusal = CoordinatorError.badInput("job.sqlite: the job was made by another release of crvq; start a new job")
    let options = JobOptions(
      model: "/m", calibration: "/c", output: "/o", fit: FitOptions(), propagation: .teacher, tuneEpochs: tuneEpochs,
      distillEpochs: distillEpochs, sequences: 8, heldOut: 1, shards: 4, maximumRelativeError: nil)
    let json = try JSONForm.record(options)
    func read(_ method: String) throws -> JobOptions {
      let text = try #require(json.firstMatch(of: #/"method":[0-9]+,/#))
      return try JobOptions(json: json.replacing(text.output, with: method), path: "job.sqlite")
    }
    for other in 1...9 {
      let options = try read("\"method\":\(other),")
      if other == number {
        try options.checkMethod("job.sqlite")
      } else {
        #expect(throws: refusal) { try options.checkMethod("job.sqlite") }
      }
    }
    #expect(throws: refusal) { try read("") }
  }

  /// Those who plan a job take them for granted.
  @Test(
    arguments: [
      ("sequences", "8", "1", "at least 2"), ("sequences", "8", "-8", "at least 2"),
      ("heldOut", "1", "0", "1 to 7"), ("heldOut", "1", "8", "1 to 7"), ("shards", "4", "0", "1 to 512"),
      ("shards", "4", "513", "1 to 512"), ("tuneEpochs", "1", "-1", "0 to 1000"),
      ("tuneEpochs", "1", "1001", "0 to 1000"), ("distillEpochs", "2", "0", "1 to 100"),
      ("distillEpochs", "2", "101", "1 to 100"),
    ] as [(String, String, String, String)])
  func numbersThatNoCommandLineGivesAreDamage(key: String, was: String, now: String, expected: String) throws {
    let options = JobOptions(
      model: "/m", calibration: "/c", output: "/o", fit: FitOptions(), propagation: .teacher, tuneEpochs: 1,
      distillEpochs: 2, sequences: 8, heldOut: 1, shards: 4, maximumRelativeError: nil)
    let json = try JSONForm.record(options)
    #expect(try JobOptions(json: json, path: "job.sqlite") == options)
    let changed = json.replacing("\"\(key)\":\(was)", with: "\"\(key)\":\(now)")
    #expect(
      throws: CoordinatorError.badInput(
        "job.sqlite: the job database is damaged (\(key) is \(now), expected \(expected)); restore it, or start again "
          + "with another --job")
    ) {
      try JobOptions(json: changed, path: "job.sqlite")
    }
  }

  @Test func exitCodesFollowSysexits() {
    let codes = [
      CoordinatorError.usage(""), .badInput(""), .internal(""), .io(""), .tryAgain(""),
    ].map(\.exitCode)
    #expect(codes == [64, 65, 70, 74, 75])
  }
}
