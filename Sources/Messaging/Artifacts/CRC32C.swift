import CChecksum

/// The Castagnoli cyclic redundancy check (RFC 3720, appendix B.4): finds a damaged chunk when it arrives, long before
/// the digest of the whole artifact can.
package enum CRC32C {
  /// `tables[k][b]`: the check of byte b followed by k zero bytes, so that eight bytes take eight independent look-ups.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
      tables[byte] = value
    }
    for index in 256..<8 * 256 {
      let value = tables[index - 256]
      tables[index] = value >> 8 ^ tables[Int(value & 255)]
    }
    return tables
  }()

  private static let hasInstruction = crc32c_has_instruction()

  /// The check of `bytes`: by the processor's instruction where it has one, at several times the speed of the tables.
  package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard hasInstruction, let base = bytes.baseAddress else { return byTables(bytes) }
    return ~crc32c_update(~0, base.assumingMemoryBound(to: UInt8.self), bytes.count)
  }

  /// The check of `bytes` on any processor.
  package static func byTables(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    tables.withUnsafeBufferPointer { tables in
      var value = ~UInt32(0)
      var index = 0
      while index + 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian ^ UInt64(value)
        var next: UInt32 = 0
        for lane in 0..<8 { next ^= tables[(7 - lane) * 256 + Int(truncatingIfNeeded: word >> UInt64(8 * lane) & 255)] }
        value = next
        index += 8
      }
      while index < bytes.count {
        value = value >> 8 ^ tables[Int((value ^ UInt32(bytes[index])) & 255)]
        index += 1
      }
      return ~value
    }
  }
}
