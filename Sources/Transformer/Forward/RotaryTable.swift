import Checkpoint
import Foundation
import Numerics

/// The angle of a position for each pair of a head's values (Su et al., arXiv 2104.09864).
///
/// Frequencies are computed in single precision and in the order of operations of transformers, because at position 10⁵ an
/// ulp of a frequency is a visible angle.
extension RotaryEmbedding {
  /// Radians a position for each of the headDimension / 2 pairs.
  package func frequencies(headDimension: Int) -> [Float] {
    let base = Float(theta)
    let plain = (0..<headDimension / 2).map { pair in
      1 / pow(base, Float(2 * pair) / Float(headDimension))
    }
    switch scaling {
    case .none: return plain
    case .linear(let factor): return plain.map { $0 / Float(factor) }
    case .llama3(let factor, let lowFactor, let highFactor, let originalPositions):
      let (factor, low, high) = (Float(factor), Float(lowFactor), Float(highFactor))
      let length = Float(originalPositions)
      return plain.map { frequency in
        let wavelength = 2 * Float.pi / frequency
        if wavelength > length / low { return frequency / factor }
        if wavelength < length / high { return frequency }
        let smooth = (length / wavelength - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
      }
    }
  }

  /// Cosines and sines of positions 0..<length.
  func table(length: Int, headDimension: Int) -> RotaryTable {
    let frequencies = frequencies(headDimension: headDimension)
    var table = RotaryTable(half: headDimension / 2, length: length)
    table.cosines.reserveCapacity(length * table.half)
    table.sines.reserveCapacity(length * table.half)
    for position in 0..<length {
      for frequency in frequencies {
        let angle = Double(Float(position) * frequency)
        table.cosines.append(Float(cos(angle)))
        table.sines.append(Float(sin(angle)))
      }
    }
    return table
  }
}

/// The rotations of a run of positions.
struct RotaryTable: Sendable {
  /// Pairs a head.
  let half: Int
  let length: Int
  /// [length, half].
  var cosines: [Float] = []
  /// [length, half].
  var sines: [Float] = []

  init(half: Int, length: Int) {
    self.half = half
    self.length = length
  }

  /// The table that turns back.
  var inverse: RotaryTable {
    var inverse = self
    inverse.sines = sines.map { -$0 }
    return inverse
  }

  /// Turns the heads of `count` rows at positions from `position` on, in place; rows hold nothing but `heads` heads.
  func rotate(_ x: UnsafeMutablePointer<Float>, heads: Int, position: Int, count: Int) {
    cosines.withUnsafeBufferPointer { cosines in
      sines.withUnsafeBufferPointer { sines in
        guard let cosine = cosines.baseAddress, let sine = sines.baseAddress else { return }
        Rotation.apply(
          x, rows: count, stride: heads * 2 * half, heads: heads, half: half, cosine: cosine + position * half,
          sine: sine + position * half)
      }
    }
  }
}
