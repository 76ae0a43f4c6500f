import Foundation
import Numerics

extension FitState {
  /// Rounds codebooks and scales to float16 and lays everything out as stored.
  func pack(order: [Int]) throws -> PackedLinear {
    balance()
    let halfCodebooks = Half.narrow(codebooks.array)
    // The scales are the best ones for the codebooks as they will be read.
    codebooks.base.update(from: Half.widen(halfCodebooks), count: codebooks.count)
    rescale(gradient: nil)
    func list(_ book: Codebook) -> [UInt16] {
      Array(UnsafeBufferPointer(start: codes.base + book.codeOffset, count: rows * book.groups))
    }
    let halfScales = Half.narrow(scales.array)
    scales.base.update(from: Half.widen(halfScales), count: rows)
    return try PackedLinear(
      name: "the fitted linear", format: shape.format, rows: rows, columns: shape.channels,
      codes: list(books[0]), criticalCodes: books.dropFirst().map(list), codebooks: halfCodebooks,
      scales: halfScales, channelOrder: order.map { UInt32($0) })
  }

  /// Moves a power of two between scales and codebooks so that both lie well inside float16's range.
  private func balance() {
    func largest(_ buffer: Buffer<Float>) -> Float {
      UnsafeBufferPointer(start: buffer.base, count: buffer.count).reduce(0) { max($0, $1.magnitude) }
    }
    let (scale, codeword) = (largest(scales), largest(codebooks))
    guard scale > 0, codeword > 0 else { return }
    let factor = exp2(((log2(scale) - log2(codeword)) / 2).rounded())
    for i in 0..<codebooks.count { codebooks.base[i] *= factor }
    for i in 0..<rows { scales.base[i] /= factor }
  }

  /// The errors of what ``pack(order:)`` made, by decoding it as a reader would.
  ///
  /// - Throws: ``CRVQError`` as ``requireEnergy(_:of:)``.
  func errorsOfPacked() throws -> (relative: Double, frobenius: Double) {
    let n = columns
    let sums = Buffer<SIMD3<Double>>(pieces)
    forEachPiece { piece, range, scratch in
      let (e, r) = (scratch.e.base, scratch.r.base)
      var sum = SIMD3<Double>()
      for row in range {
        let at = (row - range.lowerBound) * n
        decodeRow(row, into: r)
        for c in 0..<n {
          let weight = w.base[row * n + c]
          e[at + c] = weight - r[c]
          let difference = Double(weight) - Double(r[c])
          sum.y += difference * difference
          sum.z += Double(weight) * Double(weight)
        }
      }
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, e, lda: n, h.base, ldb: n, r, ldc: n)
      for row in 0..<range.count { sum.x += Double(BLAS.sdot(n, e + row * n, r + row * n)) }
      sums.base[piece] = sum
    }
    let sum = sums.array.reduce(SIMD3(), +)
    try requireEnergy(sum.x, of: "tr((W-Ŵ) H (W-Ŵ)ᵀ)")
    let frobenius = EnergyLoss.share(sum.y, of: sum.z)
    let energy = energies.array.reduce(0, +)
    return (energy > 0 ? EnergyLoss.share(sum.x, of: energy) : frobenius, frobenius)
  }

  /// One row of the packed form, decoded and widened, in packed order; the padding is 0. `row` holds [columns] values.
  private func decodeRow(_ index: Int, into row: UnsafeMutablePointer<Float>) {
    withUnsafeTemporaryAllocation(of: UInt16.self, capacity: columns) { half in
      guard let to = half.baseAddress else { return }
      Codewords.decodeRow(
        codebooks: books.map { UnsafePointer(codebooks.base + $0.offset) },
        codes: books.map { UnsafePointer(codes.base + $0.codeOffset + index * $0.groups) }, groups: groups,
        critical: critical, d: d,
        scale: scales.base[index], into: to)
      Half.widen(to, into: row, count: columns)
    }
    (row + shape.channels).update(repeating: 0, count: columns - shape.channels)
  }
}
