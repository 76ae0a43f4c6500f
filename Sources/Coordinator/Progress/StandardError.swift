import Foundation

/// Where people are told. Where it is full or gone, or nobody reads, the job goes on without.
public enum StandardError {
  private static let writer: TextWriter = {
    // However the process comes to its end in good order.
    atexit { StandardError.flush() }
    return TextWriter(to: STDERR_FILENO)
  }()

  /// Writes text behind all that came before.
  public static func write(_ text: String) { writer.write(text) }

  /// Writes text, unless so much waits that nobody can be reading.
  ///
  /// - Returns: whether it is written.
  @discardableResult
  public static func offer(_ text: String) -> Bool { writer.offer(text) }

  /// Waits for a bounded time until all is written, so that what is printed elsewhere comes behind it.
  public static func flush() { writer.flush() }
}
