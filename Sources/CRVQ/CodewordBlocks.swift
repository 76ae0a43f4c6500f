import Numerics

/// The part of the codebooks' normal matrix within each codeword: Σ s_o² H_gg over the places where it is used, [d, d] each.
/// Factorised it is the preconditioner.
///
/// A place counts by its group and weight alone: with ω[g, k] = Σ s_o² over the rows whose code in group g is k, all blocks
/// are the product ωᵀ · [H_gg].
final class CodewordBlocks: Sendable {
  private let d: Int
  /// Cholesky factors, lower triangles, [codewords, d, d].
  private let factors: Buffer<Float>
  /// ω of one codebook after another, [groups, codewords] each.
  private let weights: Buffer<Float>

  init(_ state: FitState) {
    d = state.d
    factors = Buffer(state.codebooks.count * state.d)
    weights = Buffer(state.books.reduce(0) { $0 + $1.groups * $1.count })
  }

  /// Follows the state's codes and scales.
  func update(_ state: FitState) {
    var omega = weights.base
    for book in state.books {
      countPlaces(state, book, omega)
      multiply(state, book, omega, into: factors.base + book.offset * d)
      omega += book.groups * book.count
    }
    let size = d * d
    state.team.forEachRange(state.codebooks.count / d, grain: 64) { range in
      for k in range { factorise(factors.base + k * size) }
    }
  }

  private func countPlaces(_ state: FitState, _ book: Codebook, _ omega: UnsafeMutablePointer<Float>) {
    state.team.forEachRange(book.groups, grain: 8) { range in
      (omega + range.lowerBound * book.count).update(repeating: 0, count: range.count * book.count)
      for row in 0..<state.rows {
        let codes = state.codes.base + book.codeOffset + row * book.groups
        let scale = state.scales.base[row]
        for g in range { omega[g * book.count + Int(codes[g])] += scale * scale }
      }
    }
  }

  /// ωᵀ · [H_gg].
  private func multiply(
    _ state: FitState, _ book: Codebook, _ omega: UnsafePointer<Float>, into blocks: UnsafeMutablePointer<Float>
  ) {
    let size = d * d
    state.team.forEachRange(book.count, grain: 64) { range in
      BLAS.sgemm(
        .yes, .no, m: range.count, n: size, k: book.groups, omega + range.lowerBound, lda: book.count,
        state.hBlocks.base, ldb: size, blocks + range.lowerBound * size, ldc: size)
    }
  }

  /// Cholesky of one block in place, lower triangle, a little damped; an unused codeword gets the identity.
  private func factorise(_ a: UnsafeMutablePointer<Float>) {
    var trace: Float = 0
    for t in 0..<d { trace += a[t * d + t] }
    let damping = trace > 0 ? 1e-4 * trace / Float(d) : 1
    for i in 0..<d {
      for j in 0...i {
        var sum = a[i * d + j] + (i == j ? damping : 0)
        for k in 0..<j { sum -= a[i * d + k] * a[j * d + k] }
        if i == j {
          a[i * d + i] = max(sum, damping).squareRoot()
        } else {
          a[i * d + j] = sum / a[j * d + j]
        }
      }
    }
  }

  /// z = P⁻¹ x.
  func precondition(_ x: Buffer<Float>, into z: Buffer<Float>) {
    for k in 0..<x.count / d {
      let l = factors.base + k * d * d
      let (from, to) = (x.base + k * d, z.base + k * d)
      for i in 0..<d {
        var sum = from[i]
        for j in 0..<i { sum -= l[i * d + j] * to[j] }
        to[i] = sum / l[i * d + i]
      }
      for i in stride(from: d - 1, through: 0, by: -1) {
        var sum = to[i]
        for j in i + 1..<d { sum -= l[j * d + i] * to[j] }
        to[i] = sum / l[i * d + i]
      }
    }
  }
}
