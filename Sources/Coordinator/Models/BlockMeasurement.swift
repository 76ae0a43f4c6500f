import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Numerics
import Transformer

/// Runs calibration tokens through the model block by block, original and packed beside each other, as the job did that made the packed
/// one: each block sees what comes out of the original blocks before it, or of the packed ones.
final class BlockMeasurement {
  struct Output {
    /// ‖y - ŷ‖² / ‖y‖² of the block's output.
    let error: Double
    private let grams: GramCollector

    init(error: Double, grams: GramCollector) {
      self.error = error
      self.grams = grams
    }

    /// The site's H over the tokens.
    func gram(_ site: Site) throws -> Matrix {
      let partial = try grams.partial(site)
      var total = GramTotal(width: partial.width)
      try total.add(partial)
      return try total.normalized()
    }
  }

  /// Whether the job that made the packed model measured the same: its held-out sequences.
  let repeatsReport: Bool

  private let shape: DecoderShape
  private let propagation: JobPlan.Propagation
  /// In front of the next block, a few sequences each: only of those that a block works on are there two.
  private var hidden: [HiddenStates]

  /// Uses the sequences the job held out where the report tells that these are its tokens, else all of them.
  init(original: OpenedModel, packed: OpenedModel, tokens path: String, report: JobReport) throws {
    shape = original.model.shape
    let tokens = try TokenFile(path: path, vocabularySize: shape.vocabularySize)
    try shape.check(tokens)
    let options = report.options
    guard options.sequences >= 2, (1..<options.sequences).contains(options.heldOut) else {
      throw CoordinatorError.badInput(
        "\(packed.directory)/\(JobReport.fileName): options: held_out is \(options.heldOut) of \(options.sequences) sequences; "
          + "no job has that")
    }
    propagation = options.propagation
    let digest = try OpenFile(path).artifact().digest.hex
    repeatsReport = digest == report.digests.tokens && options.sequences <= tokens.sequenceCount
    let range =
      repeatsReport ? options.sequences - options.heldOut..<options.sequences : 0..<tokens.sequenceCount
    let count = max(1, Self.hiddenBytes / (tokens.length * shape.hiddenSize * MemoryLayout<Float>.stride))
    hidden = try stride(from: range.lowerBound, to: range.upperBound, by: count).map { first in
      let some = first..<min(first + count, range.upperBound)
      return try original.model.embed(tokens: some.map { tokens.sequence($0) }, from: original.checkpoint)
    }
  }

  /// Of sequences that go through a block together.
  private static let hiddenBytes = 256 << 20

  /// Measures one block and moves on to the next.
  func advance(_ original: DecoderBlock, _ packed: DecoderBlock, team: ThreadTeam) throws -> Output {
    let grams = GramCollector(shape: shape)
    var loss = EnergyLoss()
    for index in hidden.indices {
      let approximation = try packed.output(of: hidden[index], team: team)
      try original.forward(&hidden[index], team: team, observer: grams)
      loss.add(hidden[index].values, approximation.values)
      if propagation == .student { hidden[index] = approximation }
    }
    return Output(error: loss.share, grams: grams)
  }
}

extension OpenedModel {
  /// A block with decoded weights.
  func loadBlock(_ index: Int, _ team: ThreadTeam) throws -> DecoderBlock {
    try model.loadBlock(index, from: tensors(team))
  }
}
