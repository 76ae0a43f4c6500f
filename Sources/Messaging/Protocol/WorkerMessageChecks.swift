// Checks of what workers send.

extension WireReady: CheckedMessage {
  func check() throws(FieldFault) {
    try checkBytes(workerID, "worker_id", count: WireLimit.workerID)
    try checkName(name, "name")
    try checkText(host, "host", limit: WireLimit.name)
    if slots == 0 || slots > UInt32(WireLimit.runningTasks) {
      throw FieldFault(field: "slots", reason: "is \(slots), expected 1 to \(WireLimit.runningTasks)")
    }
    if threads == 0 { throw FieldFault(field: "threads", reason: "is 0") }
    try checkName(artifactEndpoint, "artifact_endpoint", limit: WireLimit.endpoint)
    try checkText(cpu, "cpu", limit: WireLimit.name)
    try checkText(softwareVersion, "software_version", limit: WireLimit.name)
  }
}

extension WireHeartbeat: CheckedMessage {
  func check() throws(FieldFault) {
    try checkEach(running, "running", limit: WireLimit.runningTasks)
  }
}

extension WireProgress: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    try checkLease(lease)
    try checkText(note, "note", limit: WireLimit.text)
  }
}

extension WireTaskDone: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    try checkLease(lease)
    let isOfItsKind =
      switch (result, task.kind) {
      case (.collect, .collect), (.collect, .recollect), (.fit, .fit), (.tune, .tune), (.verify, .verify),
        (.collect, .distill), (.update, .update), (.evaluate, .evaluate):
        true
      default: false
      }
    if !isOfItsKind { throw FieldFault(field: "result", reason: "is not a result of a \(task.kind) task") }
    if case .verify(let record) = result { try checkNested(record, "verify") }
    if case .evaluate(let record) = result { try checkNested(record, "evaluate") }
    if !(seconds >= 0 && seconds.isFinite) { throw FieldFault(field: "seconds", reason: "is \(seconds)") }
    try checkEach(outputs, "outputs", limit: WireLimit.outputs)
  }
}

extension WireTaskFailed: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    try checkLease(lease)
    try checkText(message, "message", limit: WireLimit.text)
    switch kind {
    case .missingArtifact:
      try checkPresent(hasMissing, "missing")
      try checkNested(missing, "missing")
    case .badInput, .cancelled, .internal, .outOfSpace: break
    case .unspecified, .UNRECOGNIZED:
      throw FieldFault(field: "kind", reason: "is \(kind.rawValue), not a kind of failure")
    }
  }
}

extension WireGoodbye: CheckedMessage {
  func check() throws(FieldFault) { try checkText(reason, "reason", limit: WireLimit.text) }
}

extension WireInventory: CheckedMessage {
  func check() throws(FieldFault) {
    try checkName(jobID, "job_id")
    try checkEach(passes, "passes", limit: WireLimit.passes)
    if !predecessor.isEmpty { try checkBytes(predecessor, "predecessor", count: WireLimit.workerID) }
    if crc32C != checksum { throw FieldFault(field: "crc32c", reason: "is not that of the message") }
  }
}
