extension String {
  /// The UTF-8 in front of the first zero byte of a buffer that a C function has filled.
  init(upToZero buffer: [CChar]) {
    self.init(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
