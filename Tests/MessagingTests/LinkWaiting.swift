import Messaging

/// Long enough for a loaded machine; no test waits for it to pass.
let patience = Duration.seconds(30)

extension CoordinatorLink {
  /// The first event from now on that `pick` makes something of.
  func await<Value>(_ pick: (Event) -> Value?) throws -> Value {
    let deadline = ContinuousClock.now + patience
    while let event = next(until: deadline) {
      if let value = pick(event) { return value }
    }
    throw Missing()
  }

  func awaitMessage(_ kind: MessageKind) throws -> (message: WorkerMessage, peer: Peer) {
    try self.await { event in
      if case .message(let message, let peer) = event, message.kind == kind { (message, peer) } else { nil }
    }
  }
}

extension WorkerLink {
  func await<Value>(_ pick: (Event) -> Value?) throws -> Value {
    let deadline = ContinuousClock.now + patience
    while let event = next(until: deadline) {
      if let value = pick(event) { return value }
    }
    throw Missing()
  }

  func awaitMessage(_ kind: MessageKind) throws -> CoordinatorMessage {
    try self.await { event in
      if case .message(let message) = event, message.kind == kind { message } else { nil }
    }
  }
}

/// What a test waited for did not come.
struct Missing: Error {}
