import Foundation

/// Rotary position embedding (Su et al., arXiv 2104.09864): the angle of a position for each pair of a head's values.
///
/// Frequencies are computed in single precision and in the order of operations of transformers, because at position 10⁵ an
/// ulp of a frequency is a visible angle.
public struct RotaryEmbedding: Sendable, Equatable {
  /// How frequencies are stretched for contexts longer than those of pretraining.
  public enum Scaling: Sendable, Equatable {
    /// As pretrained: transformers' "default".
    case none
    /// All frequencies divided by a factor: "linear".
    case linear(factor: Float)
    /// Llama 3.1's: long wavelengths divided by the factor, short ones kept, a ramp between: "llama3".
    case llama3(factor: Float, lowFrequencyFactor: Float, highFrequencyFactor: Float, originalLength: Int)
  }

  /// The base of the geometric series of frequencies.
  public var theta: Float
  public var scaling: Scaling

  public init(theta: Float, scaling: Scaling = .none) {
    self.theta = theta
    self.scaling = scaling
  }

  /// Radians a position for each of the headDimension / 2 pairs.
  public func frequencies(headDimension: Int) -> [Float] {
    let plain = (0..<headDimension / 2).map { pair in
      1 / pow(theta, Float(2 * pair) / Float(headDimension))
    }
    switch scaling {
    case .none: return plain
    case .linear(let factor): return plain.map { $0 / factor }
    case .llama3(let factor, let low, let high, let originalLength):
      let length = Float(originalLength)
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
}
