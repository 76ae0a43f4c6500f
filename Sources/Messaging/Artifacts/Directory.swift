import Foundation

/// Directories, made with the operating system's own words for why one cannot be: Foundation's say nothing.
package enum Directory {
  /// Makes a directory, and those it lies in, where there is none.
  ///
  /// - Parameters:
  ///   - mode: of all that are made, before the umask.
  ///   - operation: what could not be done, for the error: "cannot make the job directory".
  /// - Returns: what was made, outermost first; see ``remove(_:)``.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`; nothing that was made stays.
  @discardableResult
  package static func make(
    _ path: String, mode: mode_t = 0o777, operation: String = "create directory"
  ) throws(ArtifactError) -> [String] {
    var made: [String] = []
    let code = make(path, mode, &made)
    if code == 0 { return made }
    remove(made)
    throw .system(operation, path, code)
  }

  /// The directory that a file or a directory is in. By hand: on Linux, NSString's `deletingLastPathComponent` traps for a relative
  /// path of one character.
  package static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Removes directories in which there is nothing, innermost first.
  ///
  /// - Parameter made: outermost first, as ``make(_:mode:operation:)`` gives them.
  package static func remove(_ made: [String]) { for path in made.reversed() { rmdir(path) } }

  /// Finds out whether a directory can be made or, if it is there, whether files can be made in it. Nothing stays.
  ///
  /// - Parameter operation: as for ``make(_:mode:operation:)``.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  package static func tryOut(_ path: String, operation: String) throws(ArtifactError) {
    if access(path, F_OK) == 0 {
      if !isDirectory(path) { throw .system(operation, path, ENOTDIR) }
      if access(path, W_OK | X_OK) != 0 { throw .system(operation, path, errno) }
      return
    }
    // Under a name of this process's own: no other is to find the directory, and miss it a moment later.
    var made: [String] = []
    let code = make("\(path).\(getpid())", 0o777, &made)
    remove(made)
    if code != 0 { throw .system(operation, path, code) }
  }

  /// - Returns: 0, or the errno of what could not be made; `made` has what was.
  private static func make(_ path: String, _ mode: mode_t, _ made: inout [String]) -> Int32 {
    let code = makeMissing(path, mode, &made)
    // Another process may have removed one that was still empty.
    return code == ENOENT ? makeMissing(path, mode, &made) : code
  }

  private static func makeMissing(_ path: String, _ mode: mode_t, _ made: inout [String]) -> Int32 {
    for directory in missing(path) {
      if mkdir(directory, mode) == 0 {
        made.append(directory)
      } else {
        let code = errno
        // Another process may have been faster.
        if !isDirectory(directory) { return code == EEXIST ? ENOTDIR : code }
      }
    }
    return 0
  }

  /// Of a directory and those it lies in, what is not there, outermost first.
  private static func missing(_ path: String) -> [String] {
    var missing: [String] = []
    var place = path
    while !place.isEmpty, !isDirectory(place) {
      missing.insert(place, at: 0)
      place = parent(of: place)
    }
    return missing
  }

  private static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}
