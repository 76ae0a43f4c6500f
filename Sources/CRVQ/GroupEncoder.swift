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

  /// A beam over the codebooks, then one codebook after another against what the others leave, a few times round.
  private func encodeAdditively(_ g: Int, fromCodes: Bool) {
    let d = state.d
    let n = range.count
    if !fromCodes || state.beamWidth > 1 { searchBeam(g, keepBetter: fromCodes) }
    let total = scratch.chosen.base
    let parts = scratch.parts.base
    total.update(repeating: 0, count: n * d)
    for book in state.books {
      let codes = state.codes.base + book.codeOffset + range.lowerBound * book.groups + g
      for i in 0..<n {
        let part = parts + (book.index * n + i) * d
        copy(state.codebooks.base + book.offset + Int(codes[i * book.groups]) * d, to: part)
        for t in 0..<d { total[i * d + t] += part[t] }
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

  /// Codes by a beam; `keepBetter` leaves a row's codes alone where they are no worse.
  private func searchBeam(_ g: Int, keepBetter: Bool) {
    let d = state.d
    let books = state.books
    let searched = books.map { book in
      Beam.Codebook(
        state.codebooks.base + book.offset, table: state.tables.base + book.tableOffset,
        norms: state.norms.base + book.normOffset + g * book.stride, stride: book.stride)
    }
    let a = metric.base + g * d * d
    Beam.search(
      scratch.queries.base, n: range.count, d: d, metric: a, codebooks: searched, width: state.beamWidth,
      codes: scratch.beamCodes.base, costs: scratch.scores.base)
    for i in 0..<range.count {
      let row = range.lowerBound + i
      if keepBetter, cost(row, g, scratch.queries.base + i * d, a) <= scratch.scores.base[i] { continue }
      for book in books {
        state.codes.base[book.codeOffset + row * book.groups + g] = scratch.beamCodes.base[i * books.count + book.index]
      }
    }
  }

  /// q A qᵀ - 2⟨query, q⟩ of the codes a row has.
  private func cost(_ row: Int, _ g: Int, _ query: UnsafePointer<Float>, _ a: UnsafePointer<Float>) -> Float {
    var q = SIMD16<Float>()
    for book in state.books {
      let code = Int(state.codes.base[book.codeOffset + row * book.groups + g])
      let codeword = state.codebooks.base + book.offset + code * state.d
      for t in 0..<state.d { q[t] += codeword[t] }
    }
    var cost: Float = 0
    for t in 0..<state.d {
      var product: Float = 0
      for c in 0..<state.d { product += a[t * state.d + c] * q[c] }
      cost += q[t] * (product - 2 * query[t])
    }
    return cost
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
