import CKernels

/// Coordinate descent over the codes of a block of groups, at a temperature. Single-threaded, without allocation.
package enum Annealing {
  /// The groups of a block of columns and everything that is the same for all rows.
  package struct Block {
    private let raw: crvq_block

    /// - Parameters:
    ///   - h: H of the block's columns, [groups · d, groups · d] with row stride `ldh`.
    ///   - diagonal: its blocks on the diagonal, [groups, d, d].
    ///   - norms: of the codewords under each group's diagonal block, [groups, stride].
    package init(
      groups: Int, d: Int, h: UnsafePointer<Float>, ldh: Int, diagonal: UnsafePointer<Float>,
      codebook: UnsafePointer<Float>, table: UnsafePointer<Float>, norms: UnsafePointer<Float>, stride: Int
    ) {
      raw = crvq_block(
        groups: groups, d: d, h: h, ldh: ldh, diagonal: diagonal, codebook: codebook, table: table, norms: norms,
        stride: stride)
    }

    /// Sweeps over the groups for `n` rows: each group takes the codeword that is best for its query plus noise with all
    /// others held fixed; changes are brought into `e` (W-Ŵ, [n, lde]) and `y` ((W-Ŵ)·H, [n, ldy]) of the block's columns.
    ///
    /// - Parameters:
    ///   - noise: standard deviation of the noise in every coordinate of a query; 0 is plain descent.
    ///   - firstRow, firstGroup: the place of the first row and group in the whole, on which the noise depends.
    package func sweep(
      rows n: Int, scale: UnsafePointer<Float>, inverseScale: UnsafePointer<Float>,
      y: UnsafeMutablePointer<Float>, ldy: Int, e: UnsafeMutablePointer<Float>, lde: Int,
      codes: UnsafeMutablePointer<UInt16>, ldc: Int, sweeps: Int, noise: Float, key: UInt64,
      firstRow: Int, firstGroup: Int
    ) {
      withUnsafePointer(to: raw) {
        crvq_anneal_block(
          $0, n, scale, inverseScale, y, ldy, e, lde, codes, ldc, sweeps, noise, key, firstRow, firstGroup)
      }
    }
  }

  /// The noise that ``Block/sweep(rows:scale:inverseScale:y:ldy:e:lde:codes:ldc:sweeps:noise:key:firstRow:firstGroup:)`` adds in its
  /// first sweep to the queries [n, d] of one group.
  package static func addNoise(
    to queries: UnsafeMutablePointer<Float>, n: Int, d: Int, noise: Float, key: UInt64, firstRow: Int, group: Int
  ) {
    crvq_add_noise(queries, n, d, noise, key, firstRow, group)
  }
}
