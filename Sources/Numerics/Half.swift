import CKernels

/// Conversions between binary32 and the 16-bit formats, in bulk and exact in the sense of IEEE 754.
public enum Half {
  /// The least magnitude that ``narrow(_:)`` makes infinite: halfway from the largest, 65504, to the next power of two.
  public static let overflowThreshold: Float = 65520

  /// Widens binary16 bit patterns.
  public static func widen(_ bits: [UInt16]) -> [Float] {
    [Float](unsafeUninitializedCapacity: bits.count) { buffer, count in
      bits.withUnsafeBufferPointer { source in
        if let from = source.baseAddress, let to = buffer.baseAddress { widen(from, into: to, count: bits.count) }
      }
      count = bits.count
    }
  }

  /// Narrows to binary16 bit patterns, rounding to nearest even; overflow becomes infinity.
  public static func narrow(_ values: [Float]) -> [UInt16] {
    [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
      values.withUnsafeBufferPointer { source in
        if let from = source.baseAddress, let to = buffer.baseAddress { narrow(from, into: to, count: values.count) }
      }
      count = values.count
    }
  }

  /// Widens `count` binary16 bit patterns.
  public static func widen(_ source: UnsafePointer<UInt16>, into destination: UnsafeMutablePointer<Float>, count: Int) {
    crvq_half_to_float(source, destination, count)
  }

  /// Narrows `count` values to binary16 bit patterns.
  public static func narrow(_ source: UnsafePointer<Float>, into destination: UnsafeMutablePointer<UInt16>, count: Int)
  {
    crvq_float_to_half(source, destination, count)
  }

  /// Widens `count` bfloat16 bit patterns.
  public static func widenBFloat16(
    _ source: UnsafePointer<UInt16>, into destination: UnsafeMutablePointer<Float>, count: Int
  ) {
    crvq_bfloat16_to_float(source, destination, count)
  }
}
