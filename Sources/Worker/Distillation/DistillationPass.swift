import CRVQ
import Checkpoint
import JobGraph
import Messaging
import Transformer

/// The packed model with the parameters of a step, run on one micro-batch: one block in memory at a time, forward and then
/// backward, with nothing kept in between but each block's input.
struct DistillationPass {
  let sequences: Range<Int>
  /// As the step before left them; nil before the first.
  let parameters: SafetensorsFile?
  let environment: TaskEnvironment

  private var job: JobContext { environment.job }

  /// What a micro-batch gave.
  struct Gradients {
    /// Sum over positions.
    let loss: Double
    let tensors: [FloatTensor]
  }

  /// The loss of the model as it would be stored now, summed over positions.
  func validate() throws -> Double {
    let expected = try environment.expected.states(of: sequences, environment)
    var hidden = try embedded()
    for index in 0..<job.model.blockCount {
      try pulse(Double(index) / Double(job.model.blockCount), "validating block \(index)")
      guard let block = try? block(index).rounded(team: environment.team).block else { return .nan }
      try block.forward(&hidden, team: environment.team, observer: heartbeat)
    }
    return try job.model.loadHead(from: job.original).divergence(of: hidden, from: expected, team: environment.team)
  }

  /// The gradients of the loss by every parameter; without tensors if the loss is not a number.
  func gradients() throws -> Gradients {
    let expected = try environment.expected.states(of: sequences, environment)
    let count = job.model.blockCount
    var hidden = try embedded()
    var inputs: [HiddenStates] = []
    for index in 0..<count {
      try pulse(0.3 * Double(index) / Double(count), "block \(index)")
      inputs.append(hidden)
      try block(index).block(team: environment.team)
        .forward(&hidden, team: environment.team, observer: heartbeat)
    }
    let head = try job.model.loadHead(from: job.original)
    var (loss, gradient) = try head.divergenceGradient(
      of: hidden, from: expected, scale: 1 / Float(hidden.length), team: environment.team)
    guard loss.isFinite else { return Gradients(loss: loss, tensors: []) }
    var tensors: [FloatTensor] = []
    for index in (0..<count).reversed() {
      try pulse(1 - 0.7 * Double(index + 1) / Double(count), "gradients of block \(index)")
      let tuned = try block(index)
      let current = tuned.block(team: environment.team)
      let tape = try current.record(inputs.removeLast(), team: environment.team)
      gradient = try current.backward(tape, outputGradient: gradient, team: environment.team, into: tuned)
      tensors += tuned.vectors(in: job.model).map {
        FloatTensor(name: $0.name, shape: [$0.gradient.count], values: .float32($0.gradient))
      }
    }
    return Gradients(loss: loss, tensors: tensors)
  }

  private func embedded() throws -> HiddenStates {
    try job.model.embed(tokens: job.fitTokens(sequences), from: job.original)
  }

  /// A packed block with the values of the step.
  private func block(_ index: Int) throws -> TunedBlock {
    let tuned = TunedBlock(try environment.blocks.packedBlock(index, environment.inputs), job.tune)
    if let parameters { try tuned.replaceValues(in: job.model, by: parameters.floats) }
    return tuned
  }

  private var heartbeat: Heartbeat { Heartbeat(control: environment.control) }

  private func pulse(_ fraction: Double, _ note: String) throws { try environment.control.progress(fraction, note) }
}
