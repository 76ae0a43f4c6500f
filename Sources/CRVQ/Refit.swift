import Numerics

/// Scales and codebooks for fixed codes: both are linear least squares.
extension FitState {
  /// The best scale of every row, s_o = ⟨W_o H, U_o⟩ / ⟨U_o H, U_o⟩, and every row's error with it.
  ///
  /// - Parameter gradient: receives Sᵀ(diag(s) (W-Ŵ) H), half the negative gradient for the codebooks, laid out as they are;
  ///   nil if it is not wanted.
  func rescale(gradient: Buffer<Float>?) {
    let n = columns
    let partial = Buffer<Float>(gradient.map { $0.count * pieces } ?? 0, filledWith: 0)
    forEachPiece { piece, range, scratch in
      let (u, e, r) = (scratch.u.base, scratch.e.base, scratch.r.base)
      residual(range, u: u, e: e)
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, e, lda: n, h.base, ldb: n, r, ldc: n)
      for row in range {
        let at = (row - range.lowerBound) * n
        let old = scales.base[row]
        let new = rescaleRow(row, u: u + at, e: e + at, r: r + at)
        if let gradient {
          // R follows the scale: (W - s'U)H = R - (s'-s)·UH with UH = (WH - R)/s.
          if new != old, old != 0 {
            let share = (new - old) / old
            let wh = wh.base + row * n
            for c in 0..<n { r[at + c] -= share * (wh[c] - r[at + c]) }
          }
          scatter(row: row, r + at, factor: new, into: partial.base + piece * gradient.count)
        }
      }
    }
    if let gradient { sumPieces(partial, into: gradient) }
  }

  private func rescaleRow(
    _ row: Int, u: UnsafePointer<Float>, e: UnsafePointer<Float>, r: UnsafePointer<Float>
  ) -> Float {
    let n = columns
    let error = Double(BLAS.sdot(n, e, r))
    let scale = Double(scales.base[row])
    rowErrors.base[row] = error
    if scale == 0 { return 0 }
    let slope = Double(BLAS.sdot(n, u, r))
    // w = e + s·u, so wHw = eHe + 2s·uHe + s²·uHu.
    let curvature = (energies.base[row] - error - 2 * scale * slope) / (scale * scale)
    guard curvature > 0 else { return Float(scale) }
    let best = scale + slope / curvature
    guard best.isFinite, best != 0 else { return Float(scale) }
    rowErrors.base[row] = error - slope * slope / curvature
    scales.base[row] = Float(best)
    return Float(best)
  }

  private func scatter(row: Int, _ r: UnsafePointer<Float>, factor: Float, into sums: UnsafeMutablePointer<Float>) {
    for book in books {
      Codewords.scatter(
        codes.base + book.codeOffset + row * book.groups, groups: book.groups, r, d: d, factor: factor,
        into: sums + book.offset)
    }
  }

  private func sumPieces(_ partial: Buffer<Float>, into total: Buffer<Float>) {
    total.fill(with: 0)
    for piece in 0..<pieces {
      let from = partial.base + piece * total.count
      for i in 0..<total.count { total.base[i] += from[i] }
    }
  }

  /// Sᵀ(S X H): what the normal matrix of the codebooks makes of X.
  private func applyNormal(_ x: Buffer<Float>, into result: Buffer<Float>) {
    let n = columns
    let partial = Buffer<Float>(x.count * pieces, filledWith: 0)
    forEachPiece { piece, range, scratch in
      let (u, r) = (scratch.u.base, scratch.r.base)
      for row in range {
        let at = (row - range.lowerBound) * n
        reconstruct(row: row, into: u + at, from: x.base)
        let scale = scales.base[row]
        for c in 0..<n { u[at + c] *= scale }
      }
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, u, lda: n, h.base, ldb: n, r, ldc: n)
      for row in range {
        scatter(
          row: row, r + (row - range.lowerBound) * n, factor: scales.base[row],
          into: partial.base + piece * x.count)
      }
    }
    sumPieces(partial, into: result)
  }

  /// Moves all codebooks together towards the least-squares solution, by at most `steps` conjugate gradient steps from
  /// where they are. `gradient` is that of ``rescale(gradient:)``.
  func refitCodebooks(gradient: Buffer<Float>, steps: Int) {
    let count = codebooks.count
    let preconditioner = CodebookPreconditioner(self)
    let residual = Buffer<Float>(count)
    residual.base.update(from: gradient.base, count: count)
    let z = Buffer<Float>(count)
    preconditioner.apply(residual, into: z)
    let direction = Buffer<Float>(count)
    direction.base.update(from: z.base, count: count)
    let product = Buffer<Float>(count)
    var rho = dot(residual, z)
    let first = rho
    for _ in 0..<steps where rho > 1e-6 * first {
      applyNormal(direction, into: product)
      let curvature = dot(direction, product)
      // An indefinite H can make it negative: then there is no minimum along this direction.
      guard curvature > 0 else { break }
      let step = Float(rho / curvature)
      guard step.isFinite else { break }
      BLAS.saxpy(count, step, direction.base, codebooks.base)
      BLAS.saxpy(count, -step, product.base, residual.base)
      preconditioner.apply(residual, into: z)
      let next = dot(residual, z)
      let share = Float(next / rho)
      for i in 0..<count { direction.base[i] = z.base[i] + share * direction.base[i] }
      rho = next
    }
    refreshTables()
  }

  private func dot(_ a: Buffer<Float>, _ b: Buffer<Float>) -> Double {
    var sum = 0.0
    for i in 0..<a.count { sum += Double(a.base[i]) * Double(b.base[i]) }
    return sum
  }
}

/// The normal matrix of the codebooks without its parts between different codewords: Σ s_o² H_gg over the places a codeword is
/// used, [d, d] each, factorised.
struct CodebookPreconditioner {
  private let blocks: Buffer<Float>
  private let d: Int

  init(_ state: FitState) {
    d = state.d
    let size = d * d
    let count = state.codebooks.count / d
    blocks = Buffer(count * size, filledWith: 0)
    for row in 0..<state.rows {
      let scale = state.scales.base[row]
      for book in state.books {
        Codewords.scatterBlocks(
          state.codes.base + book.codeOffset + row * book.groups, groups: book.groups, blocks: state.hBlocks.base,
          d: d, factor: scale * scale, into: blocks.base + book.offset * d)
      }
    }
    for k in 0..<count { factorise(blocks.base + k * size) }
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
  func apply(_ x: Buffer<Float>, into z: Buffer<Float>) {
    for k in 0..<x.count / d {
      let l = blocks.base + k * d * d
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
