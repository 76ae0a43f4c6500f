import Machines

/// How one `crvq-worker` is started, whatever starts it.
package struct WorkerCommand: Sendable, Equatable {
  /// Where a worker finds its keys.
  package enum Keys: Sendable, Equatable {
    /// There are none.
    case none
    /// There are none, and everyone on the network is trusted.
    case insecure
    case directory(String)
    /// They come over standard input.
    case standardInput
  }

  package var name: String
  package var threads: Int
  package var slots = 1
  package var memory: ByteSize?
  /// Where it keeps what it makes, and shares with other workers of its machine what they fetch.
  package var scratch: String?
  package var keys = Keys.none

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
    case .standardInput: words += ["--keys", "-"]
    }
    return words
  }
}
