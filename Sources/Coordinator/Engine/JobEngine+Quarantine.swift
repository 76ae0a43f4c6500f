import Foundation
import JobGraph

// Tasks and workers that are kept from doing harm: what people are told of them.
extension JobEngine {
  /// Quarantined tasks that the job's last line tells of; the rest are counted.
  private static let culpritsNamed = 3

  func quarantine(_ culprit: QuarantinedTask) {
    note("\(account(of: culprit)); it is not tried again in this run, the rest goes on")
    history.append(.quarantined(culprit.task, workers: culprit.workers.map { roster.name(of: $0) }))
  }

  func readmit(_ task: TaskID) {
    note("\(name(of: task)) is tried again: a worker that was lost with it has come back")
    history.append(.readmitted(task))
  }

  func setAside(_ worker: WorkerID, for pause: Duration, _ reason: SetAsideReason) {
    let seconds = pause / .seconds(1)
    let account =
      switch reason {
      case .failures(let tasks):
        "\(tasks.count.counted("attempt")) in a row failed on it or were not taken, at "
          + Set(tasks).sorted().map(name).joined(separator: " and ")
      case .outOfReach(let task): "what it made again for \(name(of: task)) could not be fetched from it again"
      }
    note("worker \(roster.name(of: worker)) is set aside for \(seconds.asTime): \(account)")
    history.append(.setAside(worker, until: Date(timeIntervalSinceNow: seconds)))
  }

  /// A launcher says that a worker was ended for want of memory.
  func outOfMemory(_ name: String, _ place: LaunchPlan.Place) {
    let worker = roster.worker(named: name)
    let burden = worker.map { scheduler.burden(of: $0) } ?? []
    let tasks = burden.isEmpty ? "" : " during \(burden.map(self.name).joined(separator: " and "))"
    note("worker \(name) was killed for want of memory\(tasks); \(place.memoryAdvice(burden.map(\.kind)))")
    if let worker { decide(.outOfMemory(worker)) }
  }

  /// The line a job ends with when all is done but these and what needs them.
  func summary(of culprits: [QuarantinedTask]) -> String {
    var accounts = culprits.prefix(Self.culpritsNamed).map(account)
    if culprits.count > accounts.count { accounts.append("and \(culprits.count - accounts.count) more tasks") }
    return accounts.joined(separator: "; ") + "; all else that can be done is "
      + (job.purpose.isResumable ? "stored" : "done, and nothing of it is kept")
  }

  private func account(of culprit: QuarantinedTask) -> String {
    "\(name(of: culprit.task)) was in the hands of \(culprit.workers.count) workers that were lost: "
      + culprit.workers.map(place).joined(separator: ", ")
  }

  /// A worker and its machine.
  private func place(of worker: WorkerID) -> String {
    roster[worker].map { "\($0.name) on \($0.host)" } ?? worker.description
  }

  private func name(of task: TaskID) -> String {
    if case .distill = task { task.account } else { "the \(task.account)" }
  }
}
