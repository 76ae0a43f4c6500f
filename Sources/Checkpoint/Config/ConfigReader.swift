/// Reads typed values out of a JSON object of config.json; every failure names the file, the key, what was expected and
/// what is there. A key whose value is null counts as absent, as in transformers.
struct ConfigReader {
  let path: String
  /// What stands before a key in messages: the enclosing object's key and a dot.
  private let prefix: String
  private let members: [String: JSONValue]

  init(path: String, members: [String: JSONValue], prefix: String = "") {
    self.path = path
    self.members = members
    self.prefix = prefix
  }

  func value(_ key: String) -> JSONValue? {
    let value = members[key]
    return value == .null ? nil : value
  }

  func has(_ key: String) -> Bool { value(key) != nil }

  var isEmpty: Bool { members.isEmpty }

  func mismatch(_ key: String, _ expected: String, _ got: String) -> CheckpointError {
    CheckpointError(.mismatch, path: path, "\(prefix)\(key): expected \(expected), got \(got)")
  }

  private func read<T>(_ key: String, _ expected: @autoclosure () -> String, _ convert: (JSONValue) -> T?) throws -> T?
  {
    guard let value = value(key) else { return nil }
    guard let result = convert(value) else { throw mismatch(key, expected(), value.shown) }
    return result
  }

  private func require<T>(_ key: String, _ expected: @autoclosure () -> String, _ value: T?) throws -> T {
    guard let value else { throw mismatch(key, expected(), members[key] == .null ? "null" : "nothing") }
    return value
  }

  func integerIfPresent(_ key: String, _ limits: ClosedRange<Int>) throws -> Int? {
    try read(key, "a whole number from \(limits.lowerBound) to \(limits.upperBound)") { value in
      value.integer.flatMap { limits.contains($0) ? $0 : nil }
    }
  }

  func integer(_ key: String, _ limits: ClosedRange<Int>) throws -> Int {
    try require(
      key, "a whole number from \(limits.lowerBound) to \(limits.upperBound)", integerIfPresent(key, limits))
  }

  /// As ``integerIfPresent(_:_:)``, also where it is written with a fraction of zero: 8192.0.
  func wholeNumberIfPresent(_ key: String, _ limits: ClosedRange<Int>) throws -> Int? {
    try read(key, "a whole number from \(limits.lowerBound) to \(limits.upperBound)") { value in
      (value.integer ?? value.double.flatMap { Int(exactly: $0) }).flatMap { limits.contains($0) ? $0 : nil }
    }
  }

  func numberIfPresent(_ key: String, _ limits: ClosedRange<Double>) throws -> Double? {
    try read(key, "a number from \(limits.lowerBound) to \(limits.upperBound)") { value in
      value.double.flatMap { limits.contains($0) ? $0 : nil }
    }
  }

  func number(_ key: String, _ limits: ClosedRange<Double>) throws -> Double {
    try require(key, "a number from \(limits.lowerBound) to \(limits.upperBound)", numberIfPresent(key, limits))
  }

  func textIfPresent(_ key: String) throws -> String? { try read(key, "a string", \.string) }

  func flag(_ key: String, default fallback: Bool) throws -> Bool {
    try read(key, "true or false", \.bool) ?? fallback
  }

  func objectIfPresent(_ key: String) throws -> ConfigReader? {
    try read(key, "an object", \.object).map { ConfigReader(path: path, members: $0, prefix: "\(prefix)\(key).") }
  }

  /// - Parameter expected: what there is instead of an object.
  /// - Throws: ``CheckpointError`` naming the first member that is an object.
  func requireNoObjects(_ expected: String) throws {
    for key in members.keys.sorted() {
      if let value = value(key), value.object != nil { throw mismatch(key, expected, value.shown) }
    }
  }

  func textList(_ key: String) throws -> [String] {
    try read(key, "a list of strings") { value in
      guard let elements = value.array else { return nil }
      let strings = elements.compactMap(\.string)
      return strings.count == elements.count ? strings : nil
    } ?? []
  }
}
