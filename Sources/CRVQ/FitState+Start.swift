import Numerics

extension FitState {
  /// Scales, and codebooks from k-means.
  func start(_ options: FitOptions, streamKey: String) {
    // Half way, on a logarithmic scale, between all channels alike and diag(H): loud channels matter, but the feedback
    // moves much of their error to others.
    let weights = Buffer<Float>(columns)
    for c in 0..<columns { weights.base[c] = max(0, h.base[c * columns + c]).squareRoot() }
    startCodebooks(weights: weights, seed: options.seed, streamKey: streamKey)
  }

  /// Scales at the rows' root mean squares, codebooks by residual k-means of W/s.
  ///
  /// - Parameter weights: what an error in a channel counts, [columns].
  private func startCodebooks(weights: Buffer<Float>, seed: UInt64, streamKey: String) {
    for row in 0..<rows {
      let sum = BLAS.sdot(columns, w.base + row * columns, w.base + row * columns)
      scales.base[row] = (sum / Float(columns)).squareRoot()
    }
    for book in books {
      var stream = RandomStream(seed: seed, key: "\(streamKey) codebook \(book.index + 1)")
      let (points, perGroup) = residualPoints(book, &stream)
      let means = KMeans(points: points, groups: book.groups, perGroup: perGroup, d: d, weights: weights, team: team)
      let centers = means.codebook(count: book.count, stream: &stream)
      (codebooks.base + book.offset).update(from: centers.base, count: centers.count)
      if books.count > 1 { assignCritical(book, weights: weights) }
    }
    refreshTables()
  }

  /// What the codebooks before this one leave of W/s, in its groups and a sample of the rows.
  private func residualPoints(_ book: Codebook, _ stream: inout RandomStream) -> (Buffer<Float>, perGroup: Int) {
    let chosen = stream.sample(max(8, book.count * KMeans.pointsPerCodeword / book.groups), of: rows)
    let points = Buffer<Float>(book.groups * chosen.count * d)
    let u = Buffer<Float>(columns, filledWith: 0)
    for (i, row) in chosen.enumerated() {
      let inverse = scales.base[row] > 0 ? 1 / scales.base[row] : 0
      u.fill(with: 0)
      for earlier in books.prefix(book.index) {
        Codewords.gather(
          codes.base + earlier.codeOffset + row * earlier.groups, groups: critical,
          codebook: codebooks.base + earlier.offset, d: d, accumulate: true, into: u.base)
      }
      for g in 0..<book.groups {
        for t in 0..<d {
          let c = g * d + t
          points.base[(g * chosen.count + i) * d + t] = w.base[row * columns + c] * inverse - u.base[c]
        }
      }
    }
    return (points, chosen.count)
  }

  /// Codes of one codebook in the critical groups, so that the next codebook sees what it leaves.
  private func assignCritical(_ book: Codebook, weights: Buffer<Float>) {
    let all = Buffer<Float>(critical * rows * d)
    for row in 0..<rows {
      let inverse = scales.base[row] > 0 ? 1 / scales.base[row] : 0
      for g in 0..<critical {
        for t in 0..<d {
          var value = w.base[row * columns + g * d + t] * inverse
          for earlier in books.prefix(book.index) {
            let code = codes.base[earlier.codeOffset + row * earlier.groups + g]
            value -= codebooks.base[earlier.offset + Int(code) * d + t]
          }
          all.base[(g * rows + row) * d + t] = value
        }
      }
    }
    let means = KMeans(points: all, groups: critical, perGroup: rows, d: d, weights: weights, team: team)
    let centers = Buffer<Float>(book.count * d)
    centers.base.update(from: codebooks.base + book.offset, count: centers.count)
    let assignment = means.assign(to: centers, count: book.count)
    for row in 0..<rows {
      for g in 0..<critical {
        codes.base[book.codeOffset + row * book.groups + g] = assignment.base[g * rows + row]
      }
    }
  }
}
