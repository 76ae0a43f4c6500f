import Foundation
import Numerics

extension FitState {
  /// Rounds codebooks and scales to float16 and lays everything out as stored.
  func pack(_ problem: Problem, options: FitOptions, order: [Int]) throws -> PackedLinear {
    balance()
    let halfCodebooks = Half.narrow(codebooks.array)
    // The scales are the best ones for the codebooks as they will be read.
    codebooks.base.update(from: Half.widen(halfCodebooks), count: codebooks.count)
    rescale(gradient: nil)
    func list(_ book: Codebook) -> [UInt16] {
      Array(UnsafeBufferPointer(start: codes.base + book.codeOffset, count: rows * book.groups))
    }
    return try PackedLinear(
      name: "the fitted linear", format: options.format, rows: rows, columns: problem.columns,
      codes: list(books[0]), criticalCodes: books.dropFirst().map(list), codebooks: halfCodebooks,
      scales: Half.narrow(scales.array), channelOrder: order.map { UInt32($0) })
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

  /// The errors of what was packed, by decoding it.
  func errors(
    of packed: PackedLinear, _ problem: Problem, order: [Int]
  ) -> (relative: Double, frobenius: Double) {
    let decoded = packed.decode(team: team)
    let n = columns
    let lost = Buffer<Double>(pieces, filledWith: 0)
    forEachPiece { piece, range, scratch in
      let (e, r) = (scratch.e.base, scratch.r.base)
      for row in range {
        let at = (row - range.lowerBound) * n
        (e + at).update(repeating: 0, count: n)
        for (position, channel) in order.enumerated() {
          e[at + position] = w.base[row * n + position] - decoded.values[row * order.count + channel]
        }
      }
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, e, lda: n, h.base, ldb: n, r, ldc: n)
      var sum = 0.0
      for row in 0..<range.count { sum += Double(BLAS.sdot(n, e + row * n, r + row * n)) }
      lost.base[piece] = sum
    }
    let whole = energies.array.reduce(0, +)
    let total = max(0, lost.array.reduce(0, +))
    let relative = total == 0 ? 0 : whole > 0 ? total / whole : .infinity
    return (relative, CRVQ.frobeniusError(weight: problem.weight, decoded: decoded))
  }
}
