import Foundation

/// How the temperature falls over the rounds, and how the sweeps of a round are laid out.
package struct CoolingSchedule {
  /// Visits of every block of columns in a round, each with a product with H.
  package let visits: Int
  /// Sweeps over all codes in a round.
  package let sweeps: Int
  /// The last round with a temperature above 0; the first has none either.
  package let lastHotRound: Int
  private let sweepsOfVisit: Int
  private let start: Double
  private let codebookSteps: Int

  package init(_ options: FitOptions, columns: Int) {
    let schedule = options.schedule
    // A product costs as much as 2 · in operations a weight, a sweep somewhat more than 2 · 2^e: the wider the matrix, the
    // more sweeps a product has to serve.
    sweeps = schedule.sweeps
    sweepsOfVisit = columns < 1024 ? 2 : columns < 2048 ? 3 : 6
    visits = (sweeps + sweepsOfVisit - 1) / sweepsOfVisit
    codebookSteps = schedule.codebookSteps
    // Two cold rounds at the end at least, where there are as many.
    lastHotRound =
      schedule.temperature > 0 ? min(1 + schedule.annealingRounds, max(1, options.maximumRounds - 2)) : 1
    start = schedule.temperature
  }

  /// Sweeps over the groups of a block in a visit.
  package func sweeps(visit: Int) -> Int { min(sweepsOfVisit, sweeps - visit * sweepsOfVisit) }

  /// Codebooks are worth more steps where codes hardly change any more.
  package func codebookSteps(round: Int) -> Int { round > lastHotRound ? 3 * codebookSteps : codebookSteps }

  /// In units of the mean error a weight after the first round: flat at first, steep in the end.
  package func temperature(round: Int, visit: Int) -> Double {
    guard round > 1, round <= lastHotRound else { return 0 }
    let elapsed = Double((round - 2) * visits + visit) / Double((lastHotRound - 1) * visits)
    return start * pow(1 - elapsed, 0.3)
  }
}
