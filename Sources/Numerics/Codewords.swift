import CKernels

/// The kernels over codewords of d = 4, 8 or 16 values. They work on raw pointers, single-threaded, and do not allocate.
///
/// A *table* is a codebook transposed and padded, [d][stride], with `stride` the number of codewords rounded up to a multiple
/// of ``lanes``; the norms that go with it are infinite for padding, so that it is never chosen.
package enum Codewords {
  /// Tables are padded to a multiple of this many codewords.
  package static let lanes = 16

  /// The padded length of a table's rows for `count` codewords.
  package static func stride(_ count: Int) -> Int { (count + lanes - 1) / lanes * lanes }

  /// Writes the table [d][stride] of a codebook [count, d].
  package static func makeTable(
    _ codebook: UnsafePointer<Float>, count: Int, d: Int, into table: UnsafeMutablePointer<Float>
  ) {
    let stride = stride(count)
    table.update(repeating: 0, count: stride * d)
    for k in 0..<count {
      for t in 0..<d { table[t * stride + k] = codebook[k * d + t] }
    }
  }

  /// For each of `n` queries [n, d], the codeword that minimises norms[k] - 2⟨query, C_k⟩, the first of equals, and the minimum.
  @inline(__always)
  package static func nearest(
    _ queries: UnsafePointer<Float>, n: Int, d: Int, table: UnsafePointer<Float>, norms: UnsafePointer<Float>,
    stride: Int, codes: UnsafeMutablePointer<UInt16>, scores: UnsafeMutablePointer<Float>
  ) {
    crvq_nearest_codewords(queries, n, d, table, norms, stride, codes, scores)
  }

  /// norms[k] = C_k A C_kᵀ for a symmetric A [d, d]; infinite from `count` to `stride`.
  package static func norms(
    table: UnsafePointer<Float>, count: Int, stride: Int, d: Int, metric a: UnsafePointer<Float>,
    into norms: UnsafeMutablePointer<Float>
  ) {
    crvq_codeword_norms(table, count, stride, d, a, norms)
  }

  /// y[i, c] += Σ_t delta[i, t] · h[t, c]; rows whose delta is zero are skipped.
  @inline(__always)
  package static func rankUpdate(
    delta: UnsafePointer<Float>, n: Int, d: Int, h: UnsafePointer<Float>, ldh: Int,
    y: UnsafeMutablePointer<Float>, ldy: Int, columns: Int
  ) {
    if columns > 0 { crvq_rank_update(delta, n, d, h, ldh, y, ldy, columns) }
  }

  /// out[i] = inverseScale[i] · x[i] · b + u[i] · a, n rows of d values; b nil is the identity, u nil is zero.
  @inline(__always)
  package static func queries(
    x: UnsafePointer<Float>, ldx: Int, inverseScale: UnsafePointer<Float>, b: UnsafePointer<Float>?,
    u: UnsafePointer<Float>?, ldu: Int, a: UnsafePointer<Float>?, n: Int, d: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    crvq_group_queries(x, ldx, inverseScale, b, u, ldu, a, n, d, out)
  }

  /// One row: out[g·d …] = codebook[codes[g]], or += if `accumulate`.
  @inline(__always)
  package static func gather(
    _ codes: UnsafePointer<UInt16>, groups: Int, codebook: UnsafePointer<Float>, d: Int, accumulate: Bool,
    into out: UnsafeMutablePointer<Float>
  ) {
    crvq_gather_codewords(codes, groups, codebook, d, accumulate ? 1 : 0, out)
  }

  /// One row, the transpose of the gather: sums[codes[g]] += factor · r[g·d …].
  @inline(__always)
  package static func scatter(
    _ codes: UnsafePointer<UInt16>, groups: Int, _ r: UnsafePointer<Float>, d: Int, factor: Float,
    into sums: UnsafeMutablePointer<Float>
  ) {
    crvq_scatter_codewords(codes, groups, r, d, factor, sums)
  }

  /// One row of a packed linear decoded to binary16, in packed order; `out` has room for `groups`·d values.
  /// `codebooks` and `codes` hold m pointers; codes[0] has `groups` entries, the others `critical`.
  package static func decodeRow(
    codebooks: [UnsafePointer<Float>?], codes: [UnsafePointer<UInt16>?], groups: Int, critical: Int, d: Int,
    scale: Float, into out: UnsafeMutablePointer<UInt16>
  ) {
    crvq_decode_row(codebooks, codes, codebooks.count, groups, critical, d, scale, out)
  }
}
