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

  /// Has directories outlast a power failure: flushes those that they were made in.
  ///
  /// - Parameter made: as ``make(_:mode:operation:)`` gives them.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  package static func flush(_ made: [String]) throws(ArtifactError) {
    for path in made { try flushNames(in: parent(of: path), by: fsync) }
  }

  /// Has the names in a directory outlast a power failure.
  ///
  /// - Parameter sync: fsync, or what stands for it.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  static func flushNames(in path: String, by sync: (Int32) -> Int32) throws(ArtifactError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw .system("open", path, errno) }
    defer { close(descriptor) }
    // Some network file systems cannot flush a directory, and say EINVAL.
    if sync(descriptor) != 0, errno != EINVAL { throw .system("flush", path, errno) }
  }

  /// Removes directories in which there is nothing, innermost first.
  ///
  /// - Parameter made: outermost first, as ``make(_:mode:operation:)`` gives them.
  package static func remove(_ made: [String]) { for path in made.reversed() { rmdir(path) } }

  /// Finds out whether a directory can be made or, if it is there, whether files can be made in it. Nothing stays.
  ///
  /// - Parameters:
  ///   - names: paths that will be needed besides if there is no directory yet, the longest: none is to be too long.
  ///   - operation: as for ``make(_:mode:operation:)``.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  package static func tryOut(_ path: String, needing names: [String] = [], operation: String) throws(ArtifactError) {
    if access(path, F_OK) == 0 {
      if !isDirectory(path) { throw .system(operation, path, ENOTDIR) }
      if access(path, W_OK | X_OK) != 0 { throw .system(operation, path, errno) }
      return
    }
    sweepTryOuts(of: path)
    // Under a name of this process's own: no other is to find the directory, and miss it a moment later.
    var made: [String] = []
    var code = make("\(path)\(tryOutMark)\(getpid())", 0o777, &made)
    if code == 0, names.contains(where: isTooLong) { code = ENAMETOOLONG }
    remove(made)
    if code != 0 { throw .system(operation, path, code) }
  }

  /// Between the name of a directory that is tried out and the number of the process that does.
  private static let tryOutMark = ".crvq-"

  /// Removes what processes left that were killed while they tried the directory out. One that lives, on another
  /// machine perhaps, has made its own by now, and does without it.
  private static func sweepTryOuts(of path: String) {
    let place = parent(of: path)
    let name = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
    let prefix = name + tryOutMark
    for other in (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? [] where other.hasPrefix(prefix) {
      guard let process = pid_t(other.dropFirst(prefix.count)), kill(process, 0) != 0, errno == ESRCH else { continue }
      rmdir("\(place)/\(other)")
    }
  }

  private static func isTooLong(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) != 0 && errno == ENAMETOOLONG
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
