/// A safetensors file of that header and that many data bytes (0, 1, 2, …), whatever they say.
func safetensors(_ header: String, dataByteCount: Int) -> [UInt8] {
  withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
    + (0..<dataByteCount).map { UInt8(truncatingIfNeeded: $0) }
}

/// The bytes of values as they lie in a file.
func bytes(_ values: [some BitwiseCopyable]) -> [UInt8] { values.withUnsafeBytes(Array.init) }
