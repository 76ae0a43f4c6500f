import Machines

/// What a host says of itself before workers are started there.
package struct HostProbe: Sendable, Equatable {
  package let cores: Int
  package let memory: ByteSize
  /// Where copies of the worker program go, and where one of this very program is, if it is there.
  package let copyDirectory: String
  package let hasCopy: Bool
  /// A worker program on the host's path, with what it says of its version.
  package let found: (path: String, version: String)?
  /// Whether the program that the cluster file names is there; nil if it names none.
  package let hasProgram: Bool?

  private static let marker = "crvq-probe-1"

  /// Arguments: the digest of our worker program, and the program that the cluster file names, or nothing.
  ///
  /// Whatever a login script prints comes before the marker.
  package static let script = """
    echo \(marker)
    echo "cores $(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)"
    sed -n "s/^MemAvailable: *//p" /proc/meminfo | sed "s/^/memory /"
    directory=${XDG_CACHE_HOME:-$HOME/.cache}/crvq/$1
    echo "directory $directory"
    if [ -x "$directory/\(WorkerCommand.programName)" ]; then echo copy; fi
    if [ -n "$2" ]; then
      if [ -x "$2" ]; then echo program; fi
    elif path=$(command -v \(WorkerCommand.programName)); then
      echo "version $("$path" --version 2>/dev/null)"
      echo "path $path"
    fi
    """

  /// - Returns: nil for an answer that is none.
  package init?(answer: String, program: String?) {
    let lines = answer.split(whereSeparator: \.isNewline).map(String.init)
    guard let start = lines.firstIndex(of: Self.marker) else { return nil }
    var values: [String: String] = [:]
    for line in lines[(start + 1)...] {
      let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
      guard let key = parts.first else { continue }
      values[key] = parts.count > 1 ? parts[1] : ""
    }
    guard let cores = values["cores"].flatMap({ Int($0) }), cores > 0, let directory = values["directory"],
      let memory = values["memory"]?.split(separator: " ").first.flatMap({ ByteSize("\($0)K") })
    else { return nil }
    self.cores = cores
    self.memory = memory
    copyDirectory = directory
    hasCopy = values["copy"] != nil
    found = values["path"].map { ($0, values["version"] ?? "") }
    hasProgram = program == nil ? nil : values["program"] != nil
  }

  package static func == (one: HostProbe, other: HostProbe) -> Bool {
    one.cores == other.cores && one.memory == other.memory && one.copyDirectory == other.copyDirectory
      && one.hasCopy == other.hasCopy && one.hasProgram == other.hasProgram && one.found?.path == other.found?.path
      && one.found?.version == other.found?.version
  }

  /// Where the worker program is taken from.
  package enum Source: Sendable, Equatable {
    case there(String)
    /// It has to be brought to this directory first.
    case brought(directory: String)
    case missing
  }

  /// The one that the file names; else one on the path that is of our version; else our own, brought once.
  package func source(program: String?, version: String) -> Source {
    if let program { return hasProgram == true ? .there(program) : .missing }
    if let found, found.version == version { return .there(found.path) }
    return hasCopy ? .there("\(copyDirectory)/\(WorkerCommand.programName)") : .brought(directory: copyDirectory)
  }
}
