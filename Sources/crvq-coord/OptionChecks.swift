import ArgumentParser
import Coordinator

// Options that several commands have.

/// What `--max-relative-error` may be.
func checkErrorBound(_ bound: Double?) throws {
  if let bound, !(bound > 0 && bound.isFinite) {
    throw ValidationError("--max-relative-error is \(bound), expected more than 0")
  }
}

/// What `--threads` may be, for this process.
func checkThreads(_ threads: Int?) throws {
  if let threads, !(1...ClusterFile.threadsMax).contains(threads) {
    throw ValidationError("--threads is \(threads), expected at least 1 and at most \(ClusterFile.threadsMax)")
  }
}
