import Numerics

/// Runs a block twice over the same hidden states, as it was and with some linears replaced, and keeps what its repairing
/// linear needs to make up for the difference: the Gram matrix of what it sees in the changed block, and the ``OutputLoss``
/// by that.
///
/// In the changed block the repairing linear still has its original weight W. With x what it sees there and y - ŷ what the
/// output lacks, the weight that brings the output closest is W + E[(y - ŷ) xᵀ] · E[x xᵀ]⁻¹.
public final class RepairCollector {
  private let original: DecoderBlock
  private let changed: DecoderBlock
  private let gram: GramAccumulator
  /// [hiddenSize, width]
  private let loss: FloatBuffer

  private var outputs: Int { original.shape.hiddenSize }
  private var width: Int { gram.width }

  /// Zero. The blocks differ in weights alone.
  public init(original: DecoderBlock, changed: DecoderBlock) {
    self.original = original
    self.changed = changed
    gram = GramAccumulator(width: original.shape.width(of: LinearRole.repairing.site))
    loss = FloatBuffer(count: original.shape.hiddenSize * gram.width)
    loss.start.update(repeating: 0, count: loss.count)
  }

  /// Adds all sequences, one by one: memory beside the hidden states is bounded by one of them, and sums are in their order.
  ///
  /// - Throws: as ``DecoderBlock/forward(_:team:observer:)``, and what `progress` throws.
  public func add(_ hidden: HiddenStates, team: ThreadTeam, progress: (_ sequence: Int) throws -> Void) throws {
    for sequence in 0..<hidden.sequences {
      try progress(sequence)
      let input = hidden.slice(sequence..<sequence + 1)
      let expected = try original.output(of: input, team: team)
      let activations = ActivationCopy(site: LinearRole.repairing.site)
      var missing = try changed.output(of: input, team: team, observer: activations)
      for index in missing.values.indices { missing.values[index] = expected.values[index] - missing.values[index] }
      activations.values.withUnsafeBufferPointer { seen in
        missing.values.withUnsafeBufferPointer { missing in
          guard let seen = seen.baseAddress, let missing = missing.baseAddress else { return }
          gram.add(seen, sequences: 1, length: input.length, team: team)
          accumulate(missing, seen, length: input.length, team: team)
        }
      }
    }
  }

  /// loss += missingᵀ · seen, in fixed bands of rows.
  private func accumulate(
    _ missing: UnsafePointer<Float>, _ seen: UnsafePointer<Float>, length: Int, team: ThreadTeam
  ) {
    team.forEachRange(outputs, grain: 64) { rows in
      BLAS.sgemm(
        .yes, .no, m: rows.count, n: width, k: length, missing + rows.lowerBound, lda: outputs, seen, ldb: width,
        beta: 1,
        loss.start + rows.lowerBound * width, ldc: width)
    }
  }

  /// What was summed so far.
  ///
  /// - Throws: ``TransformerError`` if nothing was added or a sum is not finite.
  public func partials() throws -> (gram: PartialGram, loss: OutputLoss) {
    let values = Array(UnsafeBufferPointer(start: loss.start, count: loss.count))
    return (
      try gram.partial(),
      try OutputLoss(rows: outputs, columns: width, tokenCount: gram.tokenCount, values: values)
    )
  }
}

/// Keeps a site's activations of one pass, [sequences, length, width].
private final class ActivationCopy: SiteObserver {
  let sites: Set<Site>
  private(set) var values: [Float] = []

  init(site: Site) { sites = [site] }

  func observe(_ activations: SiteActivations, team: ThreadTeam) {
    values.append(
      contentsOf: UnsafeBufferPointer(start: activations.values, count: activations.rows * activations.width))
  }
}
