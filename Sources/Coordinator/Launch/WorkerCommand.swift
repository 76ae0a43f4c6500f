import Machines

/// How one `crvq-worker` is started, whatever starts it.
package struct WorkerCommand: Sendable, Equatable {
  /// The name of the program, by which it is looked for.
  package static let programName = "crvq-worker"

  package var name: String
  package var threads: Int
  package var slots = 1
  package var memory: ByteSize?
  /// Where it keeps what it makes, and shares with other workers of its machine what they fetch.
  package var scratch: String?
  package var keys = WorkerKeys.none

  package init(name: String, threads: Int) {
    self.name = name
    self.threads = threads
  }

  /// The words after the program's name.
  package func arguments(connecting endpoint: String) -> [String] {
    var words = ["--connect", endpoint, "--name", name, "--threads", "\(threads)"]
    if slots > 1 { words += ["--slots", "\(slots)"] }
    if let memory { words += ["--memory", "\(memory.mebibytes)M"] }
    if let scratch { words += ["--cache", scratch] }
    switch keys {
    case .none: break
    case .insecure: words += ["--insecure"]
    case .directory(let path): words += ["--keys", path]
    }
    return words
  }
}
