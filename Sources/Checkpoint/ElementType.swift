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
}
