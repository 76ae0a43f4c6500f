import JobGraph
import Numerics
import Transformer

/// Tunes the real-valued parameters of a packed block, its codes fixed: codebooks, scales, norms and biases.
///
/// Gradients are added up in the order of the job's micro-batches, so the result is the same bytes on any number of threads.
package struct BlockTuner {
  let options: TuneOptions
  let team: ThreadTeam
  /// Called at every micro-batch; throws to end the tune.
  let progress: (_ note: String) throws -> Void

  package init(
    _ options: TuneOptions, team: ThreadTeam, progress: @escaping (_ note: String) throws -> Void
  ) {
    self.options = options
    self.team = team
    self.progress = progress
  }

  /// - Parameter batches: of the sequences of the examples.
  /// - Throws: what `progress` throws; ``TransformerError`` for examples that are not of the block's width.
  package func tune(_ fitted: PackedBlock, on examples: TuneExamples, _ batches: MicroBatches) throws -> TuneOutcome {
    let before = try validate(fitted.block, batches, examples)
    var outcome = TuneOutcome(lossBefore: before, lossAfter: before)
    guard before.isFinite else {
      outcome.diverged = true
      return outcome
    }
    let parameters = TunedBlock(fitted, options)
    let stepsPerEpoch = (batches.training.count + options.batch - 1) / options.batch
    var schedule = TuneSchedule(steps: stepsPerEpoch * options.epochs, warmUp: options.warmUpSteps)
    var epochsSinceBest = 0
    for epoch in 0..<options.epochs {
      let loss = try descend(parameters, batches.shuffled(epoch: epoch, seed: options.seed), examples, &schedule)
      guard loss.isFinite, let candidate = try? parameters.rounded(team: team) else { return diverged(outcome) }
      let after = try validate(candidate.block, batches, examples)
      guard after.isFinite else { return diverged(outcome) }
      outcome.epochs = epoch + 1
      epochsSinceBest += 1
      if after < outcome.lossAfter {
        outcome.block = candidate
        outcome.lossAfter = after
        epochsSinceBest = 0
      }
      if epochsSinceBest >= options.patience { break }
    }
    return outcome
  }

  private func diverged(_ outcome: TuneOutcome) -> TuneOutcome {
    TuneOutcome(lossBefore: outcome.lossBefore, lossAfter: outcome.lossBefore, epochs: outcome.epochs, diverged: true)
  }

  /// One epoch.
  ///
  /// - Returns: The sum of the losses; not finite if one was not, and the epoch ended there.
  private func descend(
    _ parameters: TunedBlock, _ batches: [Range<Int>], _ examples: TuneExamples, _ schedule: inout TuneSchedule
  ) throws -> Double {
    var total = 0.0
    for first in stride(from: 0, to: batches.count, by: options.batch) {
      let step = batches[first..<min(batches.count, first + options.batch)]
      let positions = step.reduce(0) { $0 + $1.count } * examples.inputs.length
      let block = parameters.block(team: team)
      for batch in step {
        try progress("step \(schedule.step + 1) of \(schedule.steps)")
        let tape = try block.record(examples.inputs.slice(batch), team: team)
        let loss = BlockLoss(target: examples.targets.slice(batch))
          .gradient(tape.output, scale: 1 / Float(positions), team: team)
        total += loss.sum
        // No gradient of a loss that is not a number may reach a parameter.
        guard total.isFinite else { return total }
        try block.backward(tape, outputGradient: loss.gradient, team: team, into: parameters)
      }
      schedule.advance()
      parameters.descend(step: schedule.step, strength: schedule.strength)
    }
    return total
  }

  /// The mean loss over the positions of the validation sequences.
  private func validate(_ block: DecoderBlock, _ batches: MicroBatches, _ examples: TuneExamples) throws -> Double {
    var (sum, sequences) = (0.0, 0)
    for batch in batches.validation {
      try progress("validating")
      let output = try block.output(of: examples.inputs.slice(batch), team: team)
      sum += BlockLoss(target: examples.targets.slice(batch)).sum(output, team: team)
      sequences += batch.count
    }
    return sum / Double(sequences * examples.inputs.length)
  }
}
