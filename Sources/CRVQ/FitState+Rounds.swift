import Numerics

extension FitState {
  /// The first codes, then rounds of codes, scales and codebooks: some at a falling temperature, then cold ones until one gains
  /// too little.
  ///
  /// - Returns: the number of rounds.
  func alternate(
    _ options: FitOptions, streamKey: String, steps: inout FitSteps, progress: (Int, Double) -> Bool
  ) throws -> Int {
    steps.measure(.feedback) {
      let factor = factorise(damping: options.schedule.damping)
      feedBack(factor)
      restoreGram(factor)
    }
    var stream = RandomStream(seed: options.seed, key: "\(streamKey) annealing")
    let refit = CodebookRefit(self)
    let schedule = CoolingSchedule(options, columns: columns)
    var meanError = 0.0
    var last = Double.infinity
    for round in 1...options.maximumRounds {
      steps.measure(.descent) {
        for visit in 0..<schedule.visits {
          let temperature = schedule.temperature(round: round, visit: visit)
          descend(sweeps: schedule.sweeps(visit: visit), noise: Float(temperature * meanError), key: stream.next())
        }
      }
      steps.measure(.scales) { rescale(gradient: refit.gradient) }
      if round == 1 { meanError = unscaledErrorPerWeight }
      steps.measure(.codebooks) { refit.improve(self, steps: schedule.codebookSteps(round: round)) }
      let error = relativeError
      guard progress(round, error) else { throw CRVQError(.cancelled, "the fit was cancelled in round \(round)") }
      if error == 0 { return round }
      if round > schedule.lastHotRound, last - error < options.tolerance * last { return round }
      last = error
    }
    return options.maximumRounds
  }

  /// The mean over weights of the error at scale 1: what codewords are worth to a row, whatever its scale.
  private var unscaledErrorPerWeight: Double {
    var sum = 0.0
    for row in 0..<rows where scales.base[row] != 0 {
      sum += max(0, rowErrors.base[row]) / (Double(scales.base[row]) * Double(scales.base[row]))
    }
    return sum / Double(rows * columns)
  }
}
