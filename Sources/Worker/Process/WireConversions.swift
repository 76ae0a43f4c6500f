import CRVQ
import Checkpoint
import Foundation
import Messaging
import Numerics
import Transformer

extension WireReady {
  init(_ options: WorkerOptions, artifactEndpoint: String) {
    self.init()
    workerID = Data((0..<16).map { _ in UInt8.random(in: .min ... .max) })
    name = options.name.cut(to: WireLimit.name)
    host = ProcessInfo.processInfo.hostName.cut(to: WireLimit.name)
    pid = UInt32(ProcessInfo.processInfo.processIdentifier)
    threads = UInt32(options.threads)
    slots = UInt32(options.slots)
    memoryBytes = options.memoryBytes
    self.artifactEndpoint = artifactEndpoint
    cpu = BLAS.coreName
    softwareVersion = Release.version
  }
}

extension WireTaskFailed {
  /// What the coordinator should know of an error: whether another worker could do better, and one line.
  init(_ task: WireTaskID, _ lease: UInt64, _ error: any Error) {
    self.init()
    self.task = task
    self.lease = lease
    message = "\(error)".cut()
    kind = Self.kind(of: error)
    if case TaskError.missing(let digest, let holder, _) = error {
      missing.digest = digest.data
      missing.holder = holder.cut(to: WireLimit.endpoint)
    }
  }

  private static func kind(of error: any Error) -> WireFailureKind {
    switch error {
    case TaskError.badInput: .badInput
    case TaskError.cancelled: .cancelled
    case TaskError.missing: .missingArtifact
    case let error as CRVQError: error.kind == .cancelled ? .cancelled : .badInput
    case let error as CheckpointError: error.kind == .malformed || error.kind == .mismatch ? .badInput : .internal
    case is TransformerError: .badInput
    case ArtifactError.outOfSpace: .outOfSpace
    default: .internal
    }
  }
}
