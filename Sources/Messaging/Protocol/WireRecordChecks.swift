// Checks of the records that messages are made of.

extension WireTaskID: CheckedMessage {
  func check() throws(FieldFault) {
    switch kind {
    case .collect, .recollect, .tune, .distill, .update, .verify, .evaluate:
      try checkText(linear, "linear", limit: WireLimit.name)
    case .fit: try checkName(linear, "linear")
    case .unspecified, .UNRECOGNIZED: throw FieldFault(field: "kind", reason: "is \(kind.rawValue), not a task kind")
    }
  }
}

extension WireTaskKind {
  /// Whether it is a pass over a shard, which a worker's cache remembers.
  public var isPass: Bool { self == .collect || self == .recollect }
}

extension WireArtifactRef: CheckedMessage {
  func check() throws(FieldFault) {
    try checkText(name, "name", limit: WireLimit.name)
    try checkBytes(digest, "digest", count: WireLimit.digest)
    if size > WireLimit.artifactBytes {
      throw FieldFault(field: "size", reason: "is \(size), expected at most \(WireLimit.artifactBytes)")
    }
  }
}

extension WireInputArtifact: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasRef, "ref")
    try checkNested(ref, "ref")
    try checkCount(holders.count, "holders", limit: WireLimit.holders)
    for holder in holders { try checkName(holder, "holders", limit: WireLimit.endpoint) }
    guard holderKeys.isEmpty || holderKeys.count == holders.count else {
      throw FieldFault(field: "holder_keys", reason: "has \(holderKeys.count) entries for \(holders.count) holders")
    }
    for key in holderKeys { try checkBytes(key, "holder_keys", count: PublicKey.byteCount) }
  }
}

extension WireEvaluateResult: CheckedMessage {
  func check() throws(FieldFault) {
    if tokens > WireLimit.windowTokens {
      throw FieldFault(field: "tokens", reason: "is \(tokens), expected at most \(WireLimit.windowTokens)")
    }
  }
}

extension WireVerifyResult: CheckedMessage {
  func check() throws(FieldFault) {
    try checkCount(linears.count, "linears", limit: WireLimit.linears)
    for linear in linears { try checkName(linear.name, "linears.name") }
  }
}

extension WireRunningTask: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    try checkLease(lease)
  }
}

extension WireHeldPass: CheckedMessage {
  func check() throws(FieldFault) {
    try checkPresent(hasTask, "task")
    try checkNested(task, "task")
    guard task.kind.isPass else {
      throw FieldFault(field: "task", reason: "is a \(task.kind), not a pass over a shard")
    }
    try checkEach(outputs, "outputs", limit: WireLimit.outputs)
  }
}

extension WireMissingArtifact: CheckedMessage {
  func check() throws(FieldFault) {
    try checkBytes(digest, "digest", count: WireLimit.digest)
    try checkText(holder, "holder", limit: WireLimit.endpoint)
  }
}

extension WireJobOptions: CheckedMessage {
  func check() throws(FieldFault) {
    try checkCount(codebookBits.count, "codebook_bits", limit: WireLimit.codebooks)
    try checkFraction(criticalRatio, "critical_ratio")
    switch importance {
    case .activation, .weight, .random: break
    case .unspecified, .UNRECOGNIZED:
      throw FieldFault(field: "importance", reason: "is \(importance.rawValue), not an importance rule")
    }
    switch propagation {
    case .teacher, .student: break
    case .unspecified, .UNRECOGNIZED:
      throw FieldFault(field: "propagation", reason: "is \(propagation.rawValue), not a propagation mode")
    }
  }
}
