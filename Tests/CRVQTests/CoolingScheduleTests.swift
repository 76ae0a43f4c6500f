import CRVQ
import Testing

@Suite struct CoolingScheduleTests {
  @Test(arguments: [(576, [2, 2, 1]), (1536, [3, 2]), (4096, [5])])
  func widerMatricesGetMoreSweepsAVisit(columns: Int, sweeps: [Int]) {
    let schedule = CoolingSchedule(FitOptions(), columns: columns)
    #expect((0..<schedule.visits).map { schedule.sweeps(visit: $0) } == sweeps)
  }

  @Test func temperatureFallsOverEightRoundsAfterTheFirst() {
    // One visit a round: 0.9 · (1-x)^0.3 at x = 0, ¼, ½, ¾.
    let schedule = CoolingSchedule(FitOptions(), columns: 4096)
    for (round, expected) in [(2, 0.9), (4, 0.825583), (6, 0.731027), (8, 0.593779)] {
      #expect(abs(schedule.temperature(round: round, visit: 0) - expected) < 1e-6)
    }
    #expect(schedule.lastHotRound == 9)
    for round in [1, 10, 12] { #expect(schedule.temperature(round: round, visit: 0) == 0) }
    #expect(schedule.codebookSteps(round: 9) == 1 && schedule.codebookSteps(round: 10) == 3)
  }

  @Test func itFallsFromVisitToVisit() {
    let schedule = CoolingSchedule(FitOptions(), columns: 576)
    let temperatures = (2...9).flatMap { round in
      (0..<schedule.visits).map { schedule.temperature(round: round, visit: $0) }
    }
    #expect(zip(temperatures, temperatures.dropFirst()).allSatisfy { $0 > $1 } && temperatures[23] > 0)
  }

  @Test(arguments: [
    (FitOptions(maximumRounds: 4), 2), (FitOptions(maximumRounds: 1), 1),
    (FitOptions(schedule: FitOptions.Schedule(annealingRounds: 0)), 1),
    (FitOptions(schedule: FitOptions.Schedule(temperature: 0)), 1),
    (FitOptions(schedule: FitOptions.Schedule(annealingRounds: 3)), 4),
  ])
  func coldRoundsComeLast(options: FitOptions, lastHotRound: Int) {
    let schedule = CoolingSchedule(options, columns: 64)
    #expect(schedule.lastHotRound == lastHotRound)
    let hot = (1...12).filter { schedule.temperature(round: $0, visit: 0) > 0 }
    #expect(hot == Array((1...lastHotRound).dropFirst()))
  }
}
