import Foundation

/// How much a terminal shows.
public struct TerminalSize: Sendable, Equatable {
  public var columns = 80
  public var rows = 24

  /// - Parameter descriptor: of a terminal; of anything else the usual size.
  public init(of descriptor: Int32) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20, size.ws_row > 4 else { return }
    columns = Int(size.ws_col)
    rows = Int(size.ws_row)
  }

  /// The lines of a text as far as they fit, so that they can be drawn over.
  public func lines(of text: String) -> [String] {
    text.components(separatedBy: "\n").prefix(rows - 1).map { String($0.prefix(columns - 1)) }
  }
}
