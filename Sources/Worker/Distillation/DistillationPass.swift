import CRVQ
import Checkpoint
import Numerics
import Transformer

/// The packed model with the parameters of a step, run on one micro-batch: one block in memory at a time, forward and then
/// backward, with nothing kept in between but each block's input.
package struct DistillationPass {
  let model: LanguageModel
  /// The original's, for embeddings and head.
  let source: any TensorSource
  let options: TuneOptions
  let team: ThreadTeam
  let control: TaskControl
  /// A packed block before the first step.
  let packed: (Int) throws -> PackedBlock
  /// The values of a tensor as the step before left them; nil before the first.
  let values: ((_ name: String) throws -> [Float])?

  package init(
    _ model: LanguageModel, source: any TensorSource, _ options: TuneOptions, team: ThreadTeam, control: TaskControl,
    packed: @escaping (Int) throws -> PackedBlock, values: ((_ name: String) throws -> [Float])?
  ) {
    self.model = model
    self.source = source
    self.options = options
    self.team = team
    self.control = control
    self.packed = packed
    self.values = values
  }

  /// What a micro-batch gave.
  package struct Gradients {
    /// Sum over positions.
    package let loss: Double
    /// ∂loss / ∂tensor, divided by the positions of a sequence; none if the loss is not a number.
    package let tensors: [FloatTensor]
  }

  /// The loss of the model as it would be stored now, summed over positions; not finite if a parameter is not in binary16.
  ///
  /// - Parameters:
  ///   - tokens: of a micro-batch.
  ///   - expected: what the original model has behind its last block there.
  /// - Throws: ``TaskError``; errors of reading model and tokens.
  package func validate(_ tokens: [[Int32]], expected: HiddenStates) throws -> Double {
    var hidden = try model.embed(tokens: tokens, from: source)
    for index in 0..<model.blockCount {
      try control.progress("block \(index)")
      guard let block = try stored(index) else { return .nan }
      try block.forward(&hidden, team: team)
    }
    return try head().divergence(of: hidden, from: expected, team: team)
  }

  /// The gradients of the loss by every parameter.
  ///
  /// - Parameters: as of ``validate(_:expected:)``.
  /// - Throws: ``TaskError``; errors of reading model and tokens.
  package func gradients(_ tokens: [[Int32]], expected: HiddenStates) throws -> Gradients {
    var (hidden, inputs) = (try model.embed(tokens: tokens, from: source), [HiddenStates]())
    let count = model.blockCount
    for index in 0..<count {
      try control.progress("block \(index)")
      inputs.append(hidden)
      try block(index).block(team: team).forward(&hidden, team: team)
    }
    var (loss, gradient) = try head().divergenceGradient(
      of: hidden, from: expected, scale: 1 / Float(hidden.length), team: team)
    guard loss.isFinite else { return Gradients(loss: loss, tensors: []) }
    var tensors: [FloatTensor] = []
    for index in (0..<count).reversed() {
      try control.progress("gradients of block \(index)")
      let tuned = try block(index)
      let current = tuned.block(team: team)
      let tape = try current.record(inputs.removeLast(), team: team)
      gradient = try current.backward(tape, outputGradient: gradient, team: team, into: tuned)
      tensors += tuned.gradients(in: model).map {
        FloatTensor(name: $0.name, shape: [$0.values.count], values: .float32($0.values))
      }
    }
    return Gradients(loss: loss, tensors: tensors)
  }

  private func head() throws -> LanguageModelHead {
    let head = try model.loadHead(from: source)
    try control.progress("head")
    return head
  }

  /// A block as it would go into the output now; nil if it cannot.
  private func stored(_ index: Int) throws -> DecoderBlock? {
    if values == nil { return try packed(index).block }
    let tuned = try block(index)
    return try? tuned.rounded(team: team).block
  }

  /// A block with the values of the step.
  private func block(_ index: Int) throws -> TunedBlock {
    let tuned = TunedBlock(try packed(index), options)
    if let values { try tuned.replaceValues(in: model, by: values) }
    return tuned
  }
}
