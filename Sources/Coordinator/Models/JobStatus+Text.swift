// A job's status for people.
extension JobStatus {
  public var text: String {
    var lines = [summary, counts, "model \(model)"]
    if let output { lines.append("output \(output)") }
    if let endpoint { lines.append("listening on \(endpoint)") }
    lines += workers.map { $0.text(isOver: state != .running) }
    lines += quarantined.map { "  quarantined \($0.task), lost with it: \($0.workers)" }
    for (kind, outcomes) in attempts.sorted(by: { $0.key < $1.key }) {
      let counts = outcomes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
      lines.append("  \(kind) attempts: \(counts)")
    }
    return lines.joined(separator: "\n")
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

  /// "collected 12/30  fitted 70/210 linears  merged 10/30  distilled 3/29 steps
  /// verified 9/30  2 retries".
  private var counts: String {
    func of(_ total: Int?) -> String { total.map { "/\($0)" } ?? "" }
    var parts: [String] = []
    if let collectedBlocks { parts.append("collected \(collectedBlocks)\(of(blocks))") }
    if let fits { parts.append("fitted \(fits)\(of(linears)) linears") }
    if let mergedBlocks { parts.append("merged \(mergedBlocks)\(of(blocks))") }
    if let tunedBlocks { parts.append("tuned \(tunedBlocks)\(of(blocks))") }
    if let distilledSteps { parts.append("distilled \(distilledSteps)\(of(distillationSteps)) steps") }
    if let verifiedBlocks { parts.append("verified \(verifiedBlocks)\(of(blocks)) blocks") }
    if let evaluatedWindows { parts.append("evaluated \(evaluatedWindows)\(of(windows)) windows") }
    parts.append("\(retries) \(retries == 1 ? "retry" : "retries")")
    return parts.joined(separator: "  ")
  }
}

extension JobStatus.Worker {
  fileprivate func text(isOver: Bool) -> String {
    let idle = isOver ? done.counted("task") : isSetAside ? "set aside" : "idle"
    let work = tasks.isEmpty ? idle : tasks.joined(separator: ", ")
    let rate = "\(tasksPerMinute)/min".leftPadded(to: 8)
    return "  \(name.padded(to: 20)) \(host.padded(to: 16)) \(rate)  \(work)"
  }
}
