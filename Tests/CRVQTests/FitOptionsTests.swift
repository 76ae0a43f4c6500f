import CRVQ
import Foundation
import Testing

@Suite struct FitOptionsTests {
  @Test(arguments: [
    FitOptions(groupSize: 5), FitOptions(codebookBits: []), FitOptions(codebookBits: [0]),
    FitOptions(codebookBits: [13]), FitOptions(codebookBits: [Int](repeating: 2, count: 9)),
    FitOptions(criticalRatio: -0.1), FitOptions(criticalRatio: 1.1), FitOptions(criticalRatio: .nan),
    FitOptions(tolerance: 1), FitOptions(maximumRounds: 0), FitOptions(beamWidth: 0), FitOptions(beamWidth: 65),
  ])
  func optionsOutOfRangeAreRefused(options: FitOptions) throws {
    let error = try #require(throws: CRVQError.self) { try options.validate() }
    #expect(error.kind == .option && !error.message.contains("\n"))
  }

  @Test(arguments: [
    FitOptions.Schedule(annealingRounds: -1), FitOptions.Schedule(temperature: -1),
    FitOptions.Schedule(temperature: .nan), FitOptions.Schedule(sweeps: 0), FitOptions.Schedule(damping: 0),
    FitOptions.Schedule(codebookSteps: -1),
  ])
  func aScheduleOutOfRangeIsRefused(schedule: FitOptions.Schedule) throws {
    try optionsOutOfRangeAreRefused(options: FitOptions(schedule: schedule))
  }

  @Test func aRecordHasWhatAJobCanChoose() throws {
    let options = FitOptions(codebookBits: [6], maximumRounds: 7, seed: 5)
    let record = try JSONEncoder().encode(options)
    let stored = try JSONSerialization.jsonObject(with: record)
    let object = try #require(stored as? [String: Any])
    #expect(object.keys.sorted() == ["beamWidth", "format", "importance", "maximumRounds", "seed", "tolerance"])
    #expect(try JSONDecoder().decode(FitOptions.self, from: record) == options)
  }

  /// Earlier releases kept the schedule too, always the same.
  @Test func aRecordOfAnEarlierReleaseIsRead() throws {
    let record = """
      {"annealingRounds": 8, "beamWidth": 4, "codebookSteps": 1, "damping": 0.001, "feedbackRounds": 1,
       "format": {"codebookBits": [8, 6], "criticalRatio": 0.1, "groupSize": 4}, "importance": "weight",
       "maximumRounds": 9, "seed": 3, "sweeps": 5, "temperature": 0.9, "tolerance": 0.02}
      """
    let expected = FitOptions(
      groupSize: 4, codebookBits: [8, 6], criticalRatio: 0.1, importance: .weight, tolerance: 0.02, maximumRounds: 9,
      beamWidth: 4, seed: 3)
    #expect(try JSONDecoder().decode(FitOptions.self, from: Data(record.utf8)) == expected)
  }
}
