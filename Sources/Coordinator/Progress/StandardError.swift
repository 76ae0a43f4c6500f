import Foundation

/// Where people are told. Where it is full or gone, the job goes on without.
public enum StandardError {
  public static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}
