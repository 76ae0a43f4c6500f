import Numerics

/// Brings W and H into packed order where they lie.
extension FitState {
  /// - Parameter order: position → channel; padding keeps its place behind them.
  func layOut(_ order: [Int]) {
    let order = order + Array(order.count..<columns)
    let n = columns
    var trace = 0.0
    for c in 0..<n { trace += Double(h.base[c * n + c]) }
    let mean = trace / Double(shape.channels)
    permuteColumns(of: w, rows: rows, order: order, factor: 1)
    permuteColumns(of: h, rows: n, order: order, factor: Problem.factor(meanDiagonal: mean))
    permuteRowsOfGram(order)
  }

  private func permuteColumns(of matrix: Buffer<Float>, rows: Int, order: [Int], factor: Float) {
    let n = columns
    order.withUnsafeBufferPointer { order in
      nonisolated(unsafe) let order = order
      team.forEachRange(rows, grain: 64) { range in
        let copy = Buffer<Float>(n)
        for row in range {
          let values = matrix.base + row * n
          copy.base.update(from: values, count: n)
          for position in 0..<n { values[position] = factor * copy.base[order[position]] }
        }
      }
    }
  }

  /// Every thread takes a strip of columns through the cycles of the permutation.
  private func permuteRowsOfGram(_ order: [Int]) {
    let n = columns
    team.forEachRange(n, grain: 512) { strip in
      let held = Buffer<Float>(strip.count)
      var isDone = [Bool](repeating: false, count: n)
      func part(_ row: Int) -> UnsafeMutablePointer<Float> { h.base + row * n + strip.lowerBound }
      for first in 0..<n where !isDone[first] {
        held.base.update(from: part(first), count: strip.count)
        var position = first
        while order[position] != first {
          part(position).update(from: part(order[position]), count: strip.count)
          isDone[position] = true
          position = order[position]
        }
        part(position).update(from: held.base, count: strip.count)
        isDone[position] = true
      }
    }
  }
}
