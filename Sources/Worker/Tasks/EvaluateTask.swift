import Messaging
import Transformer

/// `evaluate(w)`: runs the whole model, block after block, on one window of the tokens and sums what it loses there.
///
/// A window alone gives the same sum as among others, so the coordinator's total is that of an evaluation in one process.
struct EvaluateTask {
  let window: Int
  let windows: TokenWindows

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let job = environment.job
    let tokens = windows.tokens(window, of: job.tokens)
    let losses = try WindowEvaluation(model: job.model, source: job.tensors(environment.team))
      .losses([tokens], team: environment.team) { progress in
        try environment.control.progress("step \(progress.stepsDone) of \(progress.stepCount)")
      }
    let loss = Perplexity(losses)
    var result = WireEvaluateResult()
    result.negativeLogLikelihood = loss.negativeLogLikelihood
    result.tokens = UInt64(loss.predictionCount)
    return TaskOutcome(result: .evaluate(result), outputs: [])
  }
}
