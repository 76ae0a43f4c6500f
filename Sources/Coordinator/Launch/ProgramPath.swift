import Foundation

/// Where programs of this machine are.
package enum ProgramPath {
  /// Looks for a program by its name, as a shell does: on the search path.
  ///
  /// - Parameter directory: looked into first; nil for none.
  /// - Returns: nil if there is no such program.
  package static func find(_ name: String, firstIn directory: String? = nil) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let directories = [directory].compactMap { $0 } + path.split(separator: ":").map(String.init)
    return directories.lazy.map { "\($0)/\(name)" }.first(where: isProgram)
  }

  /// The path of a program that an engine needs.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` if there is no such program.
  package static func require(_ name: String) throws(CoordinatorError) -> String {
    guard let found = find(name) else { throw .usage("\(name): not on the PATH; install it, or use another engine") }
    return found
  }

  /// Whether a path is a program's. A directory may be executable too, and is none.
  package static func isProgram(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
  }
}
