import ArgumentParser
import Foundation

/// The words of a command line that the argument parser has refused. Of a misspelled option it says that another is
/// missing, and of a value that it is invalid, but not what is expected.
struct RefusedWords {
  /// An option of a command, as its help has it.
  private struct Known {
    /// All of its names: "--repair", "--no-repair".
    let names: [String]
    let help: String
  }

  /// A word that is further from all known ones is none of them misspelled.
  private static let typosMax = 2
  /// Wider than any help, so that what is said of an option is not broken into lines.
  private static let width = 100_000
  /// What the argument parser knows and does not list.
  private static let unlisted = ["--help-hidden", "--generate-completion-script", "--experimental-dump-help"]

  private let root: any ParsableCommand.Type
  private let words: [String]

  /// - Parameter words: without the program's name.
  init(_ root: any ParsableCommand.Type, _ words: [String]) {
    self.root = root
    self.words = words
  }

  /// What is wrong with them, in one line.
  ///
  /// - Parameter message: the argument parser's.
  func account(_ message: String) -> String {
    var command = root
    var path = root.configuration.commandName ?? ""
    var options = known(of: root)
    for word in words.prefix(while: { $0 != "--" && $0 != "help" }) {
      if word.hasPrefix("--") {
        let name = String(word.prefix { $0 != "=" })
        let names = options.flatMap(\.names)
        if names.contains(name) || Self.unlisted.contains(name) { continue }
        return "unknown option '\(name)'" + (Self.nearest(to: name, of: names) ?? "; see \(path) --help")
      }
      let subcommands = command.configuration.subcommands
      if word.hasPrefix("-") || subcommands.isEmpty { continue }
      guard let next = subcommands.first(where: { $0.configuration.commandName == word }) else {
        let names = subcommands.compactMap { $0.configuration.commandName }
        return "no command '\(word)'"
          + (Self.nearest(to: word, of: names) ?? "; there are \(names.joined(separator: ", "))")
      }
      command = next
      path += " \(word)"
      options = known(of: next)
    }
    return message + (expectation(message, options) ?? "")
  }

  /// What is said of the option whose value the argument parser's message calls invalid or missing; nil if the message
  /// says what is expected.
  private func expectation(_ message: String, _ options: [Known]) -> String? {
    guard message.hasSuffix(">'"), let end = message.range(of: " for '--", options: .backwards)?.upperBound else {
      return nil
    }
    let bareName = message[end...].prefix { $0 != " " }
    let name = "--\(bareName)"
    guard let option = options.first(where: { $0.names.contains(name) }) else { return nil }
    // A word that begins with a dash is an option to the argument parser.
    let given = words.drop(while: { $0 != name }).dropFirst().first
    let isNegative = given.flatMap { Double($0) }.map { $0 < 0 } ?? false
    let advice = isNegative ? " (a negative number is written \(name)=\(given ?? ""))" : ""
    return "\(advice): \(option.help)"
  }

  private func known(of command: any ParsableCommand.Type) -> [Known] {
    let lines = root.helpMessage(for: command, columns: Self.width).split(separator: "\n")
    return lines.indices.compactMap { index in
      // "  -h, --help              Show help information.", "  --repair/--no-repair    Fit each", "  --keys <dir> ".
      // What is said of an option whose name is longer than that is on the next line.
      let line = lines[index]
      guard line.hasPrefix("  -") else { return nil }
      let text = line.dropFirst(2)
      let end = text.range(of: "  ")?.lowerBound ?? text.range(of: "> ")?.upperBound ?? text.endIndex
      let names = text[..<end].split(whereSeparator: { " ,/".contains($0) }).map { String($0) }
      let rest = end == text.endIndex && index + 1 < lines.endIndex ? lines[index + 1] : text[end...]
      return Known(names: names.filter { $0.hasPrefix("-") }, help: rest.trimmingCharacters(in: .whitespaces))
    }
  }

  /// A question whether one of the known words was meant; nil if none resembles it.
  private static func nearest(to word: String, of known: [String]) -> String? {
    let distances = known.map { (name: $0, typos: typos(from: $0, to: word)) }
    guard let nearest = distances.min(by: { $0.typos < $1.typos }), nearest.typos <= typosMax else { return nil }
    return "; did you mean '\(nearest.name)'?"
  }

  /// The least number of letters that are left out, put in or replaced.
  private static func typos(from known: String, to word: String) -> Int {
    let known = Array(known)
    // Of the letters so far, to each beginning of what is known.
    var counts = Array(0...known.count)
    for (index, letter) in word.enumerated() {
      var before = counts[0]
      counts[0] = index + 1
      for (place, other) in known.enumerated() {
        let replaced = before + (letter == other ? 0 : 1)
        before = counts[place + 1]
        counts[place + 1] = min(replaced, before + 1, counts[place] + 1)
      }
    }
    return counts[known.count]
  }
}
