import Foundation

/// A job array of workers as Slurm shows it, and what is to be done about it: rows of squeue in, actions out.
package struct SlurmArray: Sendable {
  /// A line of `squeue --array`.
  package struct Row: Sendable, Equatable {
    package let index: Int
    package let state: String
    package let reason: String
    package let nodes: String
    /// When this life of the task began, or may begin, as Slurm writes it.
    package let start: String

    /// For squeue's --format.
    package static let format = "%K|%T|%r|%N|%S"
    /// For squeue: by the user's own format of times, a time may be another tomorrow.
    package static let environment = ["SLURM_TIME_FORMAT": "standard"]

    package init(index: Int, state: String, reason: String = "None", nodes: String = "", start: String = "N/A") {
      self.index = index
      self.state = state
      self.reason = reason
      self.nodes = nodes
      self.start = start
    }

    package static func rows(squeue text: String) -> [Row] {
      text.split(whereSeparator: \.isNewline).compactMap { line in
        let parts = line.split(separator: "|", omittingEmptySubsequences: false)
          .map { $0.trimmingCharacters(in: .whitespaces) }
        guard parts.count == 5, let index = Int(parts[0]) else { return nil }
        return Row(index: index, state: parts[1], reason: parts[2], nodes: parts[3], start: parts[4])
      }
    }
  }

  package enum Action: Sendable, Equatable {
    case note(String)
    case outOfMemory(worker: String)
    /// Ask Slurm to start the task again.
    case requeue(index: Int)
    /// None is left and none will come.
    case exhausted(String)
  }

  private enum Phase: Equatable {
    case waiting
    case running
    /// Ended, and to be started again at this time.
    case due(Duration)
    /// Ended for good.
    case over
  }

  private struct Task {
    var phase = Phase.waiting
    /// Whether it has run, ended, or been held: from then on Slurm has no reason not to know it.
    var isKnown = false
    /// When it was first seen to run in this life, which does not begin in Slurm's queue; nil before.
    var runningSince: Duration?
    var policy = RestartPolicy()
    /// Where it last was seen to run, and since when by Slurm's clock.
    var nodes = ""
    var start = ""
  }

  private var tasks: [Int: Task]

  package init(count: Int) { tasks = Dictionary(uniqueKeysWithValues: (0..<count).map { ($0, Task()) }) }

  package static func worker(_ index: Int) -> String { "slurm-\(index)" }

  /// - Parameter rows: of all tasks, ended ones too as long as Slurm remembers them.
  package mutating func update(_ rows: [Row], at now: Duration) -> [Action] {
    let wasOver = isOver
    var actions: [Action] = []
    var last = "no task of the job array is left"
    for row in rows.sorted(by: { $0.index < $1.index }) {
      guard var task = tasks[row.index] else { continue }
      let before = actions.count
      actions += Self.advance(&task, row, now)
      tasks[row.index] = task
      if case .note(let line)? = actions[before...].last { last = line }
    }
    // Slurm forgets tasks that ended some minutes ago.
    let seen = Set(rows.map(\.index))
    for (index, task) in tasks where !seen.contains(index) && task.isKnown { tasks[index]?.phase = .over }
    if !wasOver, isOver { actions.append(.exhausted(last)) }
    return actions
  }

  private var isOver: Bool { tasks.values.allSatisfy { $0.phase == .over } }

  private static func advance(_ task: inout Task, _ row: Row, _ now: Duration) -> [Action] {
    let worker = worker(row.index)
    let node = task.nodes.isEmpty ? "" : " on \(task.nodes)"
    switch row.state {
    case "RUNNING":
      if task.phase == .running, task.start == row.start { return [] }
      // The time in Slurm's queue was too short to be seen.
      let isAgain = task.phase == .running
      task.phase = .running
      task.isKnown = true
      task.runningSince = now
      task.nodes = row.nodes
      task.start = row.start
      return isAgain ? [.note("worker \(worker)\(node) was taken back by Slurm and runs again on \(row.nodes)")] : []
    case "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT": return []
    case "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "RESIZING", "REQUEUE_HOLD", "SPECIAL_EXIT":
      let wasRunning = task.phase == .running
      let isNew = wasRunning || !task.isKnown
      task.phase = .waiting
      task.runningSince = nil
      if wasRunning { return [.note("worker \(worker)\(node) was taken back by Slurm and waits in its queue")] }
      if isNew, row.reason.contains("held") || row.reason.hasPrefix("JobHeld") || row.state == "REQUEUE_HOLD" {
        task.isKnown = true
        return [.note("worker \(worker) is held in Slurm's queue (\(row.reason)); release it with scontrol release")]
      }
      return []
    default: return ended(&task, row, now, node)
    }
  }

  private static func ended(_ task: inout Task, _ row: Row, _ now: Duration, _ node: String) -> [Action] {
    let worker = worker(row.index)
    switch task.phase {
    case .over: return []
    case .due(let time):
      if now < time { return [] }
      task.phase = .waiting
      return [.requeue(index: row.index)]
    case .waiting, .running: break
    }
    let account = "worker \(worker)\(node) ended, \(row.state)"
    var actions: [Action] = row.state == "OUT_OF_MEMORY" ? [.outOfMemory(worker: worker)] : []
    // A person, or the job's own end.
    if row.state == "CANCELLED" {
      task.phase = .over
      return [.note("\(account); it is not started again")]
    }
    let life = task.runningSince.map { now - $0 } ?? .zero
    task.isKnown = true
    task.runningSince = nil
    switch task.policy.ended(.exited(EX_TEMPFAIL), after: life) {
    case .giveUp:
      task.phase = .over
      actions.append(.note("\(account); it is not started again"))
    case .restart(let pause):
      task.phase = .due(now + pause)
      actions.append(.note("\(account); asking Slurm for it again"))
    }
    return actions
  }
}
