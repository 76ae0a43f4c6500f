import Foundation

// The directory of a job that nobody resumes.
extension JobDirectory {
  /// Makes one with a name of its own.
  ///
  /// - Parameter parent: where; nil for the system's place for temporary files.
  /// - Throws: ``CoordinatorError`` if it cannot be made; nothing stays.
  static func temporary(_ name: String, in parent: String?) throws -> JobDirectory {
    let parent = URL(fileURLWithPath: parent ?? NSTemporaryDirectory()).standardizedFileURL.path
    var template = Array("\(parent)/\(name)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw CoordinatorError.io("\(parent): cannot make a job directory: \(String(cString: strerror(errno)))")
    }
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    do { return try JobDirectory(path, isTemporary: true) } catch {
      rmdir(path)
      throw error
    }
  }

  /// Removes it with all that is in it.
  public func remove() { try? FileManager.default.removeItem(atPath: path) }
}
