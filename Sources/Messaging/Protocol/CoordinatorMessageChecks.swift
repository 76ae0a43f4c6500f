// Checks of what coordinators send.

extension WireWelcome: CheckedMessage {
  func check() throws(FieldFault) {
    try checkName(jobID, "job_id")
    if heartbeatMs == 0 { throw FieldFault(field: "heartbeat_ms", reason: "is 0") }
    try checkName(modelDirectory, "model_directory", limit: WireLimit.path)
    try checkName(tokensPath, "tokens_path", limit: WireLimit.path)
    try checkPresent(hasModel, "model")
    try checkNested(model, "model")
    try checkPresent(hasTokens, "tokens")
    try checkNested(tokens, "tokens")
    try checkName(artifactEndpoint, "artifact_endpoint", limit: WireLimit.endpoint)
    try checkPresent(hasOptions, "options")
    try checkNested(options, "options")
    try checkCount(shards.count, "shards", limit: WireLimit.shards)
  }
}

extension WireAssign: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    if leaseMs == 0 { throw FieldFault(field: "lease_ms", reason: "is 0") }
    try checkEach(inputs, "inputs", limit: WireLimit.inputs)
  }
}

extension WireCancel: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    try checkText(reason, "reason", limit: WireLimit.text)
  }
}

extension WireRelease: CheckedMessage {
  func check() throws(FieldFault) {
    try checkCount(digests.count, "digests", limit: WireLimit.digestsReleased)
    for digest in digests { try checkBytes(digest, "digests", count: WireLimit.digest) }
  }
}

extension WireResultStored: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
  }
}

extension WireRefuse: CheckedMessage {
  // A later version may have codes that this one does not know, so the code is not checked.
  func check() throws(FieldFault) { try checkText(text, "text", limit: WireLimit.text) }
}

extension WireShutdown: CheckedMessage {
  func check() throws(FieldFault) { try checkText(reason, "reason", limit: WireLimit.text) }
}

extension WireHolderLost: CheckedMessage {
  func check() throws(FieldFault) {
    try checkName(artifactEndpoint, "artifact_endpoint", limit: WireLimit.endpoint)
  }
}

extension WirePulse: CheckedMessage {
  func check() throws(FieldFault) {}
}
