import Foundation

// How numbers and columns are written for people.

extension Double {
  /// With a fixed number of decimals.
  public func fixed(_ decimals: Int) -> String { String(format: "%.\(decimals)f", self) }

  /// A time in seconds as "4 s", "3 min 05 s" or "2 h 07 min".
  public var asTime: String {
    guard isFinite, magnitude < 1e9 else { return "unknown" }
    let seconds = Int(rounded())
    if seconds < 60 { return "\(seconds) s" }
    if seconds < 3600 { return String(format: "%d min %02d s", seconds / 60, seconds % 60) }
    return String(format: "%d h %02d min", seconds / 3600, seconds / 60 % 60)
  }
}

extension String {
  /// As a line for a log or a terminal: what others have written may hold line ends and control sequences.
  var printable: String {
    if !unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) { return self }
    return String(
      String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
  }

  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
  func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

extension Int {
  /// With its noun: "1 worker", "2 workers".
  package func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
