import Foundation

extension Data {
  /// Writes this over a file, and gives it another time than it had: the clock of an older kernel's file system stands still for
  /// milliseconds, and who tells by size and time that a file has changed would see the same file.
  public func overwrite(fileAt path: String) throws {
    try write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: path)
  }
}
