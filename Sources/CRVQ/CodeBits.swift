/// Rows of codes as streams of bits, least significant first, every row on a byte of its own.
enum CodeBits {
  /// The bytes of a row of `count` codes of `bits` bits.
  static func rowBytes(_ count: Int, bits: Int) -> Int { (count * bits + 7) / 8 }

  /// Packs `codes` [rows, count].
  static func pack(_ codes: [UInt16], rows: Int, count: Int, bits: Int) -> [UInt8] {
    if bits == 8 { return codes.map { UInt8(truncatingIfNeeded: $0) } }
    let rowBytes = rowBytes(count, bits: bits)
    var packed = [UInt8]()
    packed.reserveCapacity(rows * rowBytes)
    for row in 0..<rows {
      var pending: UInt32 = 0
      var pendingBits = 0
      for code in codes[row * count..<(row + 1) * count] {
        pending |= UInt32(code) << UInt32(pendingBits)
        pendingBits += bits
        while pendingBits >= 8 {
          packed.append(UInt8(truncatingIfNeeded: pending))
          pending >>= 8
          pendingBits -= 8
        }
      }
      if pendingBits > 0 { packed.append(UInt8(truncatingIfNeeded: pending)) }
    }
    return packed
  }

  /// Reads codes [rows, count] back; `bytes` holds rows · ``rowBytes(_:bits:)`` bytes.
  ///
  /// - Returns: nil if a bit behind the last code of a row is set.
  static func unpack(_ bytes: some Collection<UInt8>, rows: Int, count: Int, bits: Int) -> [UInt16]? {
    if bits == 8 { return bytes.map { UInt16($0) } }
    var codes = [UInt16]()
    codes.reserveCapacity(rows * count)
    var next = bytes.makeIterator()
    let mask = UInt32(1) << UInt32(bits) - 1
    for _ in 0..<rows {
      var pending: UInt32 = 0
      var pendingBits = 0
      for _ in 0..<count {
        while pendingBits < bits {
          pending |= UInt32(next.next() ?? 0) << UInt32(pendingBits)
          pendingBits += 8
        }
        codes.append(UInt16(pending & mask))
        pending >>= UInt32(bits)
        pendingBits -= bits
      }
      if pending != 0 { return nil }
    }
    return codes
  }
}
