import Numerics

/// Chooses the codes of one group for a piece's rows, given the rows' queries b and the group's metric A: minimises
/// q A qᵀ - 2 q·b over q = Σ_j C_j[c_j].
struct GroupEncoder {
  let state: FitState
  let scratch: Scratch
  let range: Range<Int>
  /// The metric of every group, [groups, d, d]; the state's norms belong to it.
  let metric: Buffer<Float>

  /// Sweeps over the codebooks of a critical group.
  private static let sweeps = 3

  /// Reads `scratch.queries`, writes the codes into the state and q into `scratch.chosen`, [rows, d] both.
  ///
  /// - Parameter fromCodes: whether a critical group starts at the codes it has, or afresh.
  func encode(_ g: Int, fromCodes: Bool) {
    let d = state.d
    let n = range.count
    if g >= state.critical {
      let book = state.books[0]
      search(book, g, queries: scratch.queries.base)
      let codes = state.codes.base + book.codeOffset + range.lowerBound * book.groups + g
      for i in 0..<n {
        let code = scratch.found.base[i]
        codes[i * book.groups] = code
        copy(state.codebooks.base + book.offset + Int(code) * d, to: scratch.chosen.base + i * d)
      }
      return
    }
    encodeAdditively(g, fromCodes: fromCodes)
  }

  /// One codebook after another against what the others leave, a few times round.
  private func encodeAdditively(_ g: Int, fromCodes: Bool) {
    let d = state.d
    let n = range.count
    let total = scratch.chosen.base
    total.update(repeating: 0, count: n * d)
    let parts = scratch.parts.base
    parts.update(repeating: 0, count: state.books.count * n * d)
    if fromCodes {
      for book in state.books {
        let codes = state.codes.base + book.codeOffset + range.lowerBound * book.groups + g
        for i in 0..<n {
          let part = parts + (book.index * n + i) * d
          copy(state.codebooks.base + book.offset + Int(codes[i * book.groups]) * d, to: part)
          for t in 0..<d { total[i * d + t] += part[t] }
        }
      }
    }
    let a = metric.base + g * d * d
    for _ in 0..<Self.sweeps {
      for book in state.books {
        let part = parts + book.index * n * d
        for i in 0..<n * d { total[i] -= part[i] }
        let queries = scratch.partQueries.base
        for i in 0..<n {
          for c in 0..<d {
            var value = scratch.queries.base[i * d + c]
            for t in 0..<d { value -= total[i * d + t] * a[t * d + c] }
            queries[i * d + c] = value
          }
        }
        search(book, g, queries: queries)
        let codes = state.codes.base + book.codeOffset + range.lowerBound * book.groups + g
        for i in 0..<n {
          let code = scratch.found.base[i]
          codes[i * book.groups] = code
          copy(state.codebooks.base + book.offset + Int(code) * d, to: part + i * d)
          for t in 0..<d { total[i * d + t] += part[i * d + t] }
        }
      }
    }
  }

  private func search(_ book: Codebook, _ g: Int, queries: UnsafePointer<Float>) {
    Codewords.nearest(
      queries, n: range.count, d: state.d, table: state.tables.base + book.tableOffset,
      norms: state.norms.base + book.normOffset + g * book.stride, stride: book.stride,
      codes: scratch.found.base, scores: scratch.scores.base)
  }

  @inline(__always)
  private func copy(_ from: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>) {
    for t in 0..<state.d { to[t] = from[t] }
  }
}
