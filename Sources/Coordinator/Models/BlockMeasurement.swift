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
  private var hidden: HiddenStates

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
    hidden = try original.model.embed(tokens: range.map { tokens.sequence($0) }, from: original.checkpoint)
  }

  /// Measures one block and moves on to the next.
  func advance(_ original: DecoderBlock, _ packed: DecoderBlock, team: ThreadTeam) throws -> Output {
    let grams = GramCollector(shape: shape)
    let approximation = try packed.output(of: hidden, team: team)
    try original.forward(&hidden, team: team, observer: grams)
    var loss = EnergyLoss()
    loss.add(hidden.values, approximation.values)
    if propagation == .student { hidden = approximation }
    return Output(error: loss.share, grams: grams)
  }
}

extension OpenedModel {
  /// A block with decoded weights.
  func loadBlock(_ index: Int) throws -> DecoderBlock { try model.loadBlock(index, from: tensors) }
}
