/// What a message is: the last two bytes of its header. Numbers are never used again for something else.
public enum MessageKind: UInt16, Sendable, CaseIterable {
  // Worker to coordinator.
  case ready = 1
  case heartbeat = 2
  case progress = 3
  case taskDone = 4
  case taskFailed = 5
  case goodbye = 6
  case inventory = 7

  // Coordinator to worker.
  case welcome = 64
  case assign = 65
  case cancel = 66
  case release = 67
  case resultStored = 68
  /// The same number and fields in every version of the protocol.
  case refuse = 69
  case shutdown = 70
  case pulse = 71
  case holderLost = 72

  // Artifact transfer.
  case artifactRequest = 128
  case artifactChunk = 129
  case artifactRefusal = 130
}
