/// How workers come by their keys.
public enum WorkerKeys: Sendable, Equatable {
  /// There are none.
  case none
  /// There are none, and everyone on the network is trusted.
  case insecure
  /// Of this directory on the machine where the worker is started.
  case directory(String)

  /// Over the worker's standard input: in place of a directory it takes a word for that.
  package static let standardInput = WorkerKeys.directory("-")
}
