import Numerics

extension DecoderBlock {
  /// The most bytes of activations held beside the hidden states, as long as one sequence fits; longer batches go through
  /// in several groups of sequences.
  package static let workingBytesMax = 256 << 20

  /// Advances hidden states through the block, in place.
  ///
  /// The result for a sequence is the same bytes whatever the number of threads and whichever sequences are beside it.
  ///
  /// - Parameter observer: receives the activations of the sites it asks for.
  /// - Throws: ``TransformerError`` if the width is not the model's, or the sequences are longer than it can compute.
  public func forward(_ hidden: inout HiddenStates, team: ThreadTeam, observer: (any SiteObserver)? = nil) throws {
    try forward(&hidden, team: team, observer: observer, workingBytes: Self.workingBytesMax)
  }

  /// As ``forward(_:team:observer:)``, with another limit in place of ``workingBytesMax``.
  package func forward(
    _ hidden: inout HiddenStates, team: ThreadTeam, observer: (any SiteObserver)?, workingBytes: Int
  ) throws {
    try check(hidden)
    let (sequences, length, width) = (hidden.sequences, hidden.length, hidden.width)
    let rotations = rotaryCache.table(length: length)
    let groupSize = sequencesAtATime(length: length, observed: observer?.sites ?? [], workingBytes: workingBytes)
    hidden.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      for first in stride(from: 0, to: sequences, by: groupSize) {
        let pass = BlockPass(
          block: self, hidden: start + first * length * width, sequences: min(groupSize, sequences - first),
          length: length, rotations: rotations, team: team, observer: observer)
        pass.run()
      }
    }
  }

  /// Advances hidden states through the block and leaves the input as it is.
  public func output(
    of hidden: HiddenStates, team: ThreadTeam, observer: (any SiteObserver)? = nil
  ) throws -> HiddenStates {
    var result = hidden
    try forward(&result, team: team, observer: observer)
    return result
  }

  /// - Throws: ``TransformerError`` if hidden states cannot be run through this block.
  func check(_ hidden: HiddenStates) throws {
    guard hidden.width == shape.hiddenSize else {
      throw TransformerError(
        .invalidInput, "block \(index): expected hidden states of width \(shape.hiddenSize), got \(hidden.width)")
    }
    if let lengthMax = shape.lengthMax, hidden.length > lengthMax {
      throw TransformerError(
        .unsupported,
        "block \(index): sequences of \(hidden.length) exceed the attention window of \(lengthMax), "
          + "which is not supported; use shorter sequences")
    }
  }

  private func sequencesAtATime(length: Int, observed: Set<Site>, workingBytes: Int) -> Int {
    var widths = shape.queryWidth + 2 * shape.keyValueWidth
    for site in observed where site != .attentionOutput { widths += shape.width(of: site) }
    return max(1, workingBytes / (MemoryLayout<Float>.stride * widths * length))
  }
}

/// One forward pass of a block over a group of sequences that fits the working memory.
private struct BlockPass {
  let block: DecoderBlock
  /// [sequences, length, hiddenSize], read and replaced.
  let hidden: UnsafeMutablePointer<Float>
  let sequences: Int
  let length: Int
  let rotations: RotaryTable
  let team: ThreadTeam
  let observer: (any SiteObserver)?

  private var shape: DecoderShape { block.shape }
  private var rows: Int { sequences * length }

  func run() {
    let attended = attention()
    report(.attentionOutput, attended)
    feedForward(attended)
  }

  /// - Returns: The attended values of all heads, [rows, queryWidth].
  private func attention() -> Buffer<Float> {
    let queries = Buffer<Float>(rows * shape.queryWidth)
    let keys = Buffer<Float>(rows * shape.keyValueWidth)
    let values = Buffer<Float>(rows * shape.keyValueWidth)
    // A pointer does not keep its buffer.
    defer { withExtendedLifetime((keys, values)) {} }
    let observed = buffer(for: .attentionInput)
    let pieces = RowPieces(sequences: sequences, length: length)
    let pool = Pool(count: observed == nil ? RowPieces.positionsMax * shape.hiddenSize : 0)
    team.forEach(pieces.count) { index in
      let (row, position, count) = pieces[index]
      pool.withBuffer { scratch in
        let normed = observed.map { $0.base + row * shape.hiddenSize } ?? scratch
        norm(block.inputNorm, row: row, count: count, into: normed)
        let query = queries.base + row * shape.queryWidth
        let key = keys.base + row * shape.keyValueWidth
        block[.query].apply(normed, rows: count, into: query)
        block[.key].apply(normed, rows: count, into: key)
        block[.value].apply(normed, rows: count, into: values.base + row * shape.keyValueWidth)
        rotations.rotate(query, heads: shape.headCount, position: position, count: count)
        rotations.rotate(key, heads: shape.keyValueHeadCount, position: position, count: count)
      }
    }
    report(.attentionInput, observed)
    CausalAttention(shape).forward(
      queries: queries.base, keys: keys.base, values: values.base, sequences: sequences, length: length, team: team)
    return queries
  }

  /// Output projection, MLP and both residual additions.
  private func feedForward(_ attended: Buffer<Float>) {
    let normedRows = buffer(for: .mlpInput)
    let gatedRows = buffer(for: .mlpHidden)
    let pieces = RowPieces(sequences: sequences, length: length)
    let width = shape.hiddenSize
    let inner = shape.intermediateSize
    let pool = Pool(count: RowPieces.positionsMax * (width + 2 * inner))
    team.forEach(pieces.count) { index in
      let (row, _, count) = pieces[index]
      pool.withBuffer { scratch in
        let stream = hidden + row * width
        block[.output].apply(attended.base + row * shape.queryWidth, rows: count, into: stream, accumulate: true)
        let normed = normedRows.map { $0.base + row * width } ?? scratch
        let up = scratch + RowPieces.positionsMax * width
        let gate = gatedRows.map { $0.base + row * inner } ?? up + RowPieces.positionsMax * inner
        norm(block.mlpNorm, row: row, count: count, into: normed)
        block[.gate].apply(normed, rows: count, into: gate)
        block[.up].apply(normed, rows: count, into: up)
        SwiGLU.forward(gate: gate, up: up, count: count * inner)
        block[.down].apply(gate, rows: count, into: stream, accumulate: true)
      }
    }
    report(.mlpInput, normedRows)
    report(.mlpHidden, gatedRows)
  }

  private func norm(_ weight: [Float], row: Int, count: Int, into normed: UnsafeMutablePointer<Float>) {
    RootMeanSquareNorm.forward(
      hidden + row * shape.hiddenSize, weight: weight, epsilon: shape.normEpsilon, rows: count,
      width: shape.hiddenSize, into: normed)
  }

  /// Memory for a site's activations of the whole group, if they are wanted.
  private func buffer(for site: Site) -> Buffer<Float>? {
    observer?.sites.contains(site) == true ? Buffer<Float>(rows * shape.width(of: site)) : nil
  }

  private func report(_ site: Site, _ activations: Buffer<Float>?) {
    guard let activations, let observer, observer.sites.contains(site) else { return }
    observer.observe(
      SiteActivations(
        site: site, sequences: sequences, length: length, width: shape.width(of: site), values: activations.base),
      team: team)
  }
}

extension CausalAttention {
  init(_ shape: DecoderShape) {
    self.init(
      headCount: shape.headCount, keyValueHeadCount: shape.keyValueHeadCount, headDimension: shape.headDimension)
  }
}
