import Machines
import Yams

/// A mistake in a YAML file: one line that begins with its place, as compilers write it.
struct YAMLMistake: Error, CustomStringConvertible {
  let path: String
  let line: Int
  let column: Int
  let text: String

  init(_ path: String, _ mark: Mark?, _ text: String) {
    self.path = path
    line = mark?.line ?? 1
    column = mark?.column ?? 1
    self.text = text
  }

  var description: String { "\(path):\(line):\(column): \(text)" }
}

/// A mapping of a YAML file with a closed set of keys, read by type. Whatever is wrong is a ``YAMLMistake`` with its place.
struct YAMLSection {
  let path: String
  /// For the place of what is missing.
  let mark: Mark?
  private let entries: [(key: Node.Scalar, value: Node)]

  /// - Parameter name: what the mapping is, for messages: "a cluster file", "a host".
  init(_ node: Node, path: String, name: String, keys: [String]) throws {
    guard case .mapping(let mapping) = node else {
      throw YAMLMistake(path, node.mark, "expected \(name) as a mapping of keys to values, got \(node.shown)")
    }
    self.path = path
    mark = node.mark
    entries = try mapping.map { key, value in
      guard case .scalar(let scalar) = key else {
        throw YAMLMistake(path, key.mark, "expected a key of \(name), got \(key.shown)")
      }
      guard keys.contains(scalar.string) else {
        throw YAMLMistake(
          path, key.mark,
          "\(scalar.string.quoted) is no key of \(name); expected one of \(keys.joined(separator: ", "))")
      }
      return (scalar, value)
    }
  }

  /// The places of keys, in the order of the file.
  var keys: [(name: String, mark: Mark?)] { entries.map { ($0.key.string, $0.key.mark) } }

  func node(_ key: String) -> Node? { entries.first { $0.key.string == key }?.value }

  /// A text without control characters, so that it stays one word of a command or one line of a script.
  func text(_ key: String) throws -> String? {
    guard let node = node(key) else { return nil }
    return try text(node, of: key)
  }

  func text(_ node: Node, of key: String) throws -> String {
    guard case .scalar(let scalar) = node, !scalar.string.isEmpty else { throw mistake(node, key, "a text") }
    guard scalar.string.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
      throw mistake(node, key, "a text without control characters")
    }
    return scalar.string
  }

  /// A text that a program could not take for an option, and no shell or program for two.
  func word(_ key: String) throws -> String? {
    guard let node = node(key) else { return nil }
    return try word(node, of: key)
  }

  func word(_ node: Node, of key: String) throws -> String {
    let text = try text(node, of: key)
    guard !text.hasPrefix("-"), !text.contains(" ") else {
      throw mistake(node, key, "a name without spaces that does not begin with '-'")
    }
    return text
  }

  func integer(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
    guard let node = node(key) else { return nil }
    guard case .scalar(let scalar) = node, let value = Int(scalar.string), range.contains(value) else {
      throw mistake(node, key, "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func size(_ key: String) throws -> ByteSize? {
    guard let node = node(key) else { return nil }
    guard case .scalar(let scalar) = node, let size = ByteSize(scalar.string) else {
      throw mistake(node, key, "a number with K, M, G or T, such as 16G")
    }
    return size
  }

  func absolutePath(_ key: String) throws -> String? {
    guard let node = node(key) else { return nil }
    let path = try text(node, of: key)
    guard path.hasPrefix("/") else { throw mistake(node, key, "an absolute path, as the machines of workers have it") }
    return path
  }

  func list(_ key: String, of what: String, atMost limit: Int) throws -> [Node] {
    guard let node = node(key) else { return [] }
    guard case .sequence(let sequence) = node else { throw mistake(node, key, "a list of \(what)") }
    guard sequence.count <= limit else {
      throw mistake(node, key, "at most \(limit) \(what)", got: "\(sequence.count)")
    }
    return Array(sequence)
  }

  /// Names to texts.
  func texts(_ key: String) throws -> [(name: Node.Scalar, value: String)] {
    guard let node = node(key) else { return [] }
    guard case .mapping(let mapping) = node else { throw mistake(node, key, "a mapping of names to texts") }
    return try mapping.map { name, value in
      guard case .scalar(let scalar) = name else { throw mistake(name, key, "a name") }
      // An empty value is one.
      if case .scalar(let text) = value, text.string.isEmpty, text.style != .plain { return (scalar, "") }
      return (scalar, try text(value, of: "\(key).\(scalar.string)"))
    }
  }

  func mistake(_ node: Node, _ key: String, _ expected: String, got: String? = nil) -> YAMLMistake {
    YAMLMistake(path, node.mark, "\(key): expected \(expected), got \(got ?? node.shown)")
  }
}

extension Node {
  /// For messages.
  fileprivate var shown: String {
    switch self {
    case .scalar(let scalar): scalar.string.isEmpty ? "nothing" : scalar.string.quoted
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
    }
  }
}

extension String {
  /// As it is put into a line of people: short, and without what would break the line.
  fileprivate var quoted: String {
    let shown = String(String.UnicodeScalarView(unicodeScalars.prefix(80).map { $0.value < 0x20 ? "?" : $0 }))
    return "'\(shown)'"
  }
}
