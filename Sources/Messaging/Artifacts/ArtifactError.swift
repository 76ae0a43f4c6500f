import Foundation

/// Why an artifact cannot be stored, read or fetched. One line each, with the file or the peer concerned.
public enum ArtifactError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The store has no such artifact.
  case notFound(Digest, directory: String)
  /// The file's bytes were not those of its name. It has been removed.
  case corrupted(path: String, expected: Digest, found: Digest)
  /// The file has another length than the artifact asked for.
  case wrongSize(path: String, expected: UInt64, found: UInt64)
  /// The file ends before the bytes that were to be read.
  case endsEarly(path: String, end: UInt64, needed: UInt64)
  /// What was written or received is not what was announced. Nothing was kept.
  case mismatch(expected: Artifact, found: Artifact)
  /// The file system is full, or a quota is. The temporary file has been removed.
  case outOfSpace(path: String)
  /// The operating system refused.
  case io(operation: String, path: String, errno: Int32)
  /// None of the holders could give it; one reason for each that was asked.
  case unavailable(Artifact, [HolderFailure])
  /// The fetch was cancelled by its caller.
  case cancelled(Digest)
  /// The exchange has been closed.
  case closed

  /// What one holder answered, or that it did not.
  public struct HolderFailure: Sendable, Equatable, CustomStringConvertible {
    /// The holder's artifact endpoint.
    public let endpoint: String
    public let reason: String

    public init(endpoint: String, reason: String) {
      self.endpoint = endpoint
      self.reason = reason
    }

    public var description: String { "\(endpoint): \(reason)" }
  }

  public var description: String {
    switch self {
    case .notFound(let digest, let directory): "artifact \(digest.short) is not in \(directory)"
    case .corrupted(let path, let expected, let found):
      "\(path): corrupted and removed, its bytes have digest \(found.short), expected \(expected.short)"
    case .wrongSize(let path, let expected, let found): "\(path): has \(found) bytes, expected \(expected)"
    case .endsEarly(let path, let end, let needed):
      "\(path): was cut short, it ends at byte \(end), expected at least \(needed) bytes"
    case .mismatch(let expected, let found):
      "artifact \(expected.digest.short) of \(expected.size) bytes announced, "
        + "got \(found.digest.short) of \(found.size) bytes"
    case .outOfSpace(let path): "\(path): no space left; free some and resume"
    case .io(let operation, let path, let errno): "\(path): \(operation): \(String(cString: strerror(errno)))"
    case .unavailable(let artifact, let failures):
      "artifact \(artifact.digest.short) of \(artifact.size) bytes is unavailable: "
        + (failures.isEmpty ? "no holder is known" : failures.map(\.description).joined(separator: "; "))
    case .cancelled(let digest): "fetch of artifact \(digest.short) was cancelled"
    case .closed: "the artifact exchange is closed"
    }
  }

  /// The error of a failed system call: a full disk by its own case.
  package static func system(_ operation: String, _ path: String, _ code: Int32) -> ArtifactError {
    code == ENOSPC || code == EDQUOT ? .outOfSpace(path: path) : .io(operation: operation, path: path, errno: code)
  }

  /// The error of a file that Foundation could not write.
  package static func foundation(_ operation: String, _ path: String, _ error: any Error) -> ArtifactError {
    .system(operation, path, ArtifactStore.code(of: error))
  }
}
