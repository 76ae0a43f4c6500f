/// The element types of safetensors files that this package reads and writes.
public enum ElementType: String, Sendable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int32 = "I32"
  case int64 = "I64"
  case uint8 = "U8"
  case uint16 = "U16"
  case uint32 = "U32"

  /// The size of one element in bytes.
  public var byteCount: Int {
    switch self {
    case .uint8: 1
    case .float16, .bfloat16, .uint16: 2
    case .float32, .int32, .uint32: 4
    case .int64: 8
    }
  }

  /// Whether the elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .bfloat16: true
    case .int32, .int64, .uint8, .uint16, .uint32: false
    }
  }

  /// The size in bytes of a tensor of this type, or nil if it overflows or a dimension is negative.
  public func byteCount(shape: [Int]) -> Int? {
    var total = byteCount
    for size in shape {
      let (product, overflow) = total.multipliedReportingOverflow(by: size)
      if overflow || size < 0 { return nil }
      total = product
    }
    return total
  }
}
