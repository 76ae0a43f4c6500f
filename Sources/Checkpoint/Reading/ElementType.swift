/// The element types of safetensors files. Values are read of some; tensors of the others are copied byte for byte.
public enum ElementType: String, Sendable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int32 = "I32"
  case int64 = "I64"
  case uint8 = "U8"
  case uint16 = "U16"
  case uint32 = "U32"
  case int8 = "I8"
  case int16 = "I16"
  case uint64 = "U64"
  case bool = "BOOL"
  case float64 = "F64"
  case complex64 = "C64"
  case float8E4M3 = "F8_E4M3"
  case float8E5M2 = "F8_E5M2"
  case float8E8M0 = "F8_E8M0"
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  case float6E2M3 = "F6_E2M3"
  case float6E3M2 = "F6_E3M2"
  case float4 = "F4"

  /// The size of one element in bits. The smallest lie close together: several share a byte.
  public var bitCount: Int {
    switch self {
    case .float4: 4
    case .float6E2M3, .float6E3M2: 6
    case .uint8, .int8, .bool, .float8E4M3, .float8E5M2, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
    case .float16, .bfloat16, .uint16, .int16: 16
    case .float32, .int32, .uint32: 32
    case .int64, .uint64, .float64, .complex64: 64
    }
  }

  /// The size of one element in bytes, of a type whose elements take whole ones.
  public var byteCount: Int { bitCount / 8 }

  /// Whether the elements are floating-point numbers whose values are read.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .bfloat16: true
    default: false
    }
  }

  /// The size in bytes of a tensor of this type, or nil if it overflows, is no whole number, or a dimension is negative.
  public func byteCount(shape: [Int]) -> Int? {
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if overflow || size < 0 { return nil }
      count = product
    }
    // Eight elements take whole bytes whatever their type; the bits of all together may overflow where their bytes do not.
    let (bytes, overflow) = (count / 8).multipliedReportingOverflow(by: bitCount)
    let restBits = count % 8 * bitCount
    return overflow || restBits % 8 != 0 ? nil : bytes + restBits / 8
  }
}
