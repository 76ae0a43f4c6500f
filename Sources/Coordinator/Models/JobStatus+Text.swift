import JobGraph

// A job's status for people.
extension JobStatus {
  public var text: String {
    var lines = [summary] + counts + ["model \(model)"]
    if let output { lines.append("output \(output)") }
    if let endpoint { lines.append("listening on \(endpoint)") }
    lines += workers.map { $0.text(isOver: state != .running) }
    lines += quarantined.map { "  quarantined \(Self.account(ofTask: $0.task)), lost with it: \($0.workers)" }
    for (kind, outcomes) in attempts.sorted(by: { $0.key < $1.key }) {
      let counts = ended(outcomes).sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
      lines.append("  \(kind) attempts: \(counts)")
    }
    return lines.joined(separator: "\n")
  }

  /// Of a job without a coordinator nothing runs: what has no end in its history is abandoned.
  private func ended(_ outcomes: [String: Int]) -> [String: Int] {
    var outcomes = outcomes
    if state != .running, let count = outcomes.removeValue(forKey: "running") {
      outcomes[AttemptOutcome.abandoned.rawValue, default: 0] += count
    }
    return outcomes
  }

  /// "running: 45 % done, 14 tasks/min, 2 min 05 s so far, 3 min 10 s left".
  private var summary: String {
    var parts: [String] = []
    if state == .running, let phase, phase != .running { parts.append(phase.rawValue) }
    if let progress { parts.append("\((progress * 100).fixed(0)) % done") }
    if let tasksPerMinute { parts.append("\(tasksPerMinute.fixed(0)) tasks/min") }
    parts.append("\(seconds.asTime) so far")
    if let remainingSeconds { parts.append("\(remainingSeconds.asTime) left") }
    return "\(state.rawValue): \(parts.joined(separator: ", "))"
  }

  /// "collected 12/30  fitted 70/210 linears  merged 10/30  tuned 10/30",
  /// "distilled 3/29 steps  verified 9/30 blocks  2 retries": all of it would be too wide for a terminal.
  private var counts: [String] {
    func of(_ total: Int?) -> String { total.map { "/\($0)" } ?? "" }
    var blockwise: [String] = []
    if let collectedBlocks { blockwise.append("collected \(collectedBlocks)\(of(blocks))") }
    if let fits { blockwise.append("fitted \(fits)\(of(linears)) linears") }
    if let mergedBlocks { blockwise.append("merged \(mergedBlocks)\(of(blocks))") }
    if let tunedBlocks { blockwise.append("tuned \(tunedBlocks)\(of(blocks))") }
    var last: [String] = []
    if let distilledSteps { last.append("distilled \(distilledSteps)\(of(distillationSteps)) steps") }
    if let verifiedBlocks { last.append("verified \(verifiedBlocks)\(of(blocks)) blocks") }
    if let evaluatedWindows { last.append("evaluated \(evaluatedWindows)\(of(windows)) windows") }
    last.append("\(retries) \(retries == 1 ? "retry" : "retries")")
    return [blockwise, last].filter { !$0.isEmpty }.map { $0.joined(separator: "  ") }
  }

  /// What a task of a status, such as "fit 3/6", does; the text itself if it is none.
  fileprivate static func account(ofTask text: String) -> String { TaskID(status: text)?.account ?? text }
}

extension JobStatus.Worker {
  fileprivate func text(isOver: Bool) -> String {
    let idle = isOver ? done.counted("task") : isSetAside ? "set aside" : "idle"
    let work = tasks.isEmpty ? idle : tasks.map { JobStatus.account(ofTask: $0) }.joined(separator: ", ")
    let rate = "\(tasksPerMinute)/min".leftPadded(to: 7)
    return "  \(name.padded(to: 16)) \(host.padded(to: 12)) \(rate)  \(work)"
  }
}
