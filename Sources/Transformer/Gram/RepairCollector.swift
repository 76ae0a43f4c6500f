import Numerics

/// Runs a block with some linears replaced, and keeps what its repairing linear needs to bring the output back to what is
/// expected of it: the Gram matrix of what it sees in the changed block, and the ``OutputLoss`` by that.
///
/// In the changed block the repairing linear still has its original weight W. With x what it sees there and y - ŷ what the
/// output lacks, the weight that brings the output closest is W + E[(y - ŷ) xᵀ] · E[x xᵀ]⁻¹.
///
/// Each position counts with weight 1 / ‖y‖. What reads the stream begins with a norm, so an error matters by its share of the
/// stream; but with 1 / ‖y‖² the few positions of massive activations, which all others attend to, would count for nothing.
public final class RepairCollector {
  private let changed: DecoderBlock
  private let gram: GramAccumulator
  /// [hiddenSize, width]
  private let loss: Buffer<Float>

  private var outputs: Int { changed.shape.hiddenSize }
  private var width: Int { gram.width }

  /// Zero.
  public init(_ changed: DecoderBlock) {
    self.changed = changed
    gram = GramAccumulator(width: changed.shape.width(of: LinearRole.repairing.site))
    loss = Buffer(changed.shape.hiddenSize * gram.width, filledWith: 0)
  }

  /// Adds all sequences, one by one: memory beside the hidden states is bounded by one of them, and sums are in their order.
  ///
  /// - Parameters:
  ///   - hidden: What the block sees.
  ///   - expected: What its output should be, of the same sizes.
  /// - Throws: as ``DecoderBlock/forward(_:team:observer:)``, and what `progress` throws.
  public func add(
    _ hidden: HiddenStates, expected: HiddenStates, team: ThreadTeam, progress: (_ sequence: Int) throws -> Void
  ) throws {
    precondition(hidden.values.count == expected.values.count, "every input has an expected output")
    for sequence in 0..<hidden.sequences {
      try progress(sequence)
      let input = hidden.slice(sequence..<sequence + 1)
      let expected = expected.slice(sequence..<sequence + 1)
      let activations = ActivationCopy(site: LinearRole.repairing.site)
      var missing = try changed.output(of: input, team: team, observer: activations)
      for index in missing.values.indices { missing.values[index] = expected.values[index] - missing.values[index] }
      for row in 0..<input.length {
        let root = rootOfWeight(expected.values[row * outputs..<(row + 1) * outputs])
        for index in row * outputs..<(row + 1) * outputs { missing.values[index] *= root }
        for index in row * width..<(row + 1) * width { activations.values[index] *= root }
      }
      activations.values.withUnsafeBufferPointer { seen in
        missing.values.withUnsafeBufferPointer { missing in
          guard let seen = seen.baseAddress, let missing = missing.baseAddress else { return }
          gram.add(seen, sequences: 1, length: input.length, team: team)
          accumulate(missing, seen, length: input.length, team: team)
        }
      }
    }
  }

  /// ‖y‖^-½: both factors of a product carry the root of the position's weight.
  private func rootOfWeight(_ output: ArraySlice<Float>) -> Float {
    let energy = output.reduce(Float(0)) { $0 + $1 * $1 }
    return energy > 0 ? 1 / energy.squareRoot().squareRoot() : 0
  }

  /// loss += missingᵀ · seen, in fixed bands of rows.
  private func accumulate(
    _ missing: UnsafePointer<Float>, _ seen: UnsafePointer<Float>, length: Int, team: ThreadTeam
  ) {
    team.forEachRange(outputs, grain: 64) { rows in
      BLAS.sgemm(
        .yes, .no, m: rows.count, n: width, k: length, missing + rows.lowerBound, lda: outputs, seen, ldb: width,
        beta: 1,
        loss.base + rows.lowerBound * width, ldc: width)
    }
  }

  /// What was summed so far.
  ///
  /// - Throws: ``TransformerError`` if nothing was added or a sum is not finite.
  public func partials() throws -> (gram: PartialGram, loss: OutputLoss) {
    return (
      try gram.partial(),
      try OutputLoss(rows: outputs, columns: width, tokenCount: gram.tokenCount, values: loss.array)
    )
  }
}

/// Keeps a site's activations of one pass, [sequences, length, width].
private final class ActivationCopy: SiteObserver {
  let sites: Set<Site>
  var values: [Float] = []

  init(site: Site) { sites = [site] }

  func observe(_ activations: SiteActivations, team: ThreadTeam) {
    values.append(
      contentsOf: UnsafeBufferPointer(start: activations.values, count: activations.rows * activations.width))
  }
}
