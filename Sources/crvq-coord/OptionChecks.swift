import ArgumentParser
import Coordinator
import Foundation

// Options that several commands have.

/// A path as it was given. An empty one would be the current directory, which nobody means by it.
func givenPath(_ text: String) throws -> String {
  if text.isEmpty { throw ValidationError("expected a path, got nothing") }
  return text
}

/// A path that means the same in every process, without a slash at its end.
func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

/// What `--max-relative-error` may be.
func checkErrorBound(_ bound: Double?) throws {
  if let bound, !(bound > 0 && bound.isFinite) {
    throw ValidationError("--max-relative-error is \(bound), expected a finite number above 0")
  }
}

/// What `--threads` may be, for this process.
func checkThreads(_ threads: Int?) throws {
  if let threads, !(1...ClusterFile.threadsMax).contains(threads) {
    throw ValidationError("--threads is \(threads), expected at least 1 and at most \(ClusterFile.threadsMax)")
  }
}
