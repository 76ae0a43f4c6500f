import Numerics

extension FitState {
  /// Columns whose residual product is kept up to date inside a block: their part of H stays in the second cache.
  static let blockColumns = 256

  /// One visit of every block of columns, with `sweeps` passes of coordinate descent inside it: every group in turn takes
  /// the codewords that are best with all other groups held fixed.
  ///
  /// One matrix product gives R = (W-Ŵ)·H for a block's columns; changes inside the block update R in place, by the group's
  /// d rows of H.
  ///
  /// - Parameters:
  ///   - noise: standard deviation of what is added to each coordinate of a query (a temperature); with 0 no row's error rises.
  ///   - key: names the noise.
  package func descend(sweeps: Int, noise: Float, key: UInt64) {
    refreshNorms(metric: hBlocks)
    let (criticalBlocks, otherBlocks) = (liveBlocks(of: 0..<critical), liveBlocks(of: critical..<groups))
    forEachPiece { _, range, scratch in
      residual(range, u: scratch.u.base, e: scratch.e.base)
      invertScales(range, into: scratch.inverseScales.base)
      descendCritical(criticalBlocks, range, scratch, noise: noise, key: key)
      for block in otherBlocks {
        let (book, g) = (books[0], block.lowerBound)
        let (start, width) = (g * d, block.count * d)
        residualProduct(range, start..<start + width, scratch)
        Annealing.Block(
          groups: block.count, d: d, h: h.base + start * columns + start, ldh: columns,
          diagonal: hBlocks.base + g * d * d, codebook: codebooks.base, table: tables.base,
          norms: norms.base + g * book.stride, stride: book.stride
        ).sweep(
          rows: range.count, scale: scales.base + range.lowerBound, inverseScale: scratch.inverseScales.base,
          y: scratch.r.base, ldy: width, e: scratch.e.base + start, lde: columns,
          codes: codes.base + range.lowerBound * groups + g, ldc: groups, sweeps: sweeps, noise: noise, key: key,
          firstRow: range.lowerBound, firstGroup: g)
      }
    }
  }

  /// Some of the groups, by the block, without those within which H is zero. There every code is as good as any other, and a
  /// search would give all rows the first; the codes that the feedback chose are near W.
  private func liveBlocks(of groups: Range<Int>) -> [Range<Int>] {
    let size = Self.blockColumns / d
    return stride(from: groups.lowerBound, to: groups.upperBound, by: size).flatMap { first in
      (first..<min(groups.upperBound, first + size)).split { g in
        (0..<d * d).allSatisfy { hBlocks.base[g * d * d + $0] == 0 }
      }
    }
  }

  /// R of some columns, [rows of the piece, width of the block].
  private func residualProduct(_ range: Range<Int>, _ block: Range<Int>, _ scratch: Scratch) {
    BLAS.sgemm(
      .no, .no, m: range.count, n: block.count, k: columns, scratch.e.base, lda: columns, h.base + block.lowerBound,
      ldb: columns, scratch.r.base, ldc: block.count)
  }

  private func descendCritical(
    _ blocks: [Range<Int>], _ range: Range<Int>, _ scratch: Scratch, noise: Float, key: UInt64
  ) {
    let n = columns
    let (u, e, r) = (scratch.u.base, scratch.e.base, scratch.r.base)
    let encoder = GroupEncoder(state: self, scratch: scratch, range: range, metric: hBlocks)
    for block in blocks {
      let (start, width) = (block.lowerBound * d, block.count * d)
      residualProduct(range, start..<start + width, scratch)
      for g in block {
        let column = g * d
        Codewords.queries(
          x: r + column - start, ldx: width, inverseScale: scratch.inverseScales.base, b: nil,
          u: u + column, ldu: n, a: hBlocks.base + g * d * d, n: range.count, d: d, into: scratch.queries.base)
        if noise > 0 {
          Annealing.addNoise(
            to: scratch.queries.base, n: range.count, d: d, noise: noise, key: key, firstRow: range.lowerBound,
            group: g)
        }
        encoder.encode(g, fromCodes: true)
        for i in 0..<range.count {
          let scale = scales.base[range.lowerBound + i]
          for t in 0..<d {
            let chosen = scratch.chosen.base[i * d + t]
            let change = scale * (u[i * n + column + t] - chosen)
            scratch.delta.base[i * d + t] = change
            u[i * n + column + t] = chosen
            e[i * n + column + t] += change
          }
        }
        Codewords.rankUpdate(
          delta: scratch.delta.base, n: range.count, d: d, h: h.base + column * n + start, ldh: n,
          y: r, ldy: width, columns: width)
      }
    }
  }

  /// 1 / s, or 0 for a row without a scale: then every code is as good as any other.
  func invertScales(_ range: Range<Int>, into inverse: UnsafeMutablePointer<Float>) {
    for row in range {
      let scale = scales.base[row]
      inverse[row - range.lowerBound] = scale == 0 ? 0 : 1 / scale
    }
  }
}
