import Checkpoint
import Foundation
import Messaging
import Numerics

// A slot is a thread that takes one task after another.
extension WorkerProcess {
  func startSlots() {
    let threads = max(1, options.threads / options.slots)
    for index in 1...options.slots {
      slots.enter()
      let thread = Thread { [self] in
        let team = ThreadTeam(threads: threads)
        while let (assign, control) = queue.next(control: control) { run(assign, control, team) }
        slots.leave()
      }
      thread.name = "slot-\(index)"
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  private func control(_ assign: WireAssign) -> TaskControl {
    TaskControl { [link] note in link.progress(assign.task, lease: assign.lease, note: note) }
  }

  private func run(_ assign: WireAssign, _ control: TaskControl, _ team: ThreadTeam) {
    let started = ContinuousClock.now
    do {
      guard let service = service.withLock({ $0 }) else { throw TaskError.other("a task came before the welcome") }
      try control.progress("started")
      let store = service.store
      let copies = service.copies
      defer { copies.release(assign.lease) }
      let inputs = TaskInputs(store: store, inputs: assign.inputs, lease: assign.lease, copies: copies) {
        [client] artifact, holders throws(ArtifactError) in
        // A large input may take longer than a lease, and gets on all the while.
        let chunkPatience = service.files.chunkPatience(for: holders)
        try client.fetch(artifact, from: holders, into: store, chunkPatience: chunkPatience) {
          control.pulse()
          return control.wasCancelled
        }
      }
      let environment = TaskEnvironment(
        job: service.context, store: store, inputs: inputs, blocks: service.blocks, grams: service.grams,
        sweep: service.sweep, expected: service.expected, passes: service.passes,
        team: team, control: control)
      let outcome = try TaskControl.$current.withValue(control) {
        try team.observed(by: control.pulse) { try environment.run(assign.task) }
      }
      try inputs.confirm()
      copies.disown(outcome.outputs.compactMap { $0.artifact?.digest })
      if assign.task.kind.isPass { record(assign.task, outcome.outputs, in: service) }
      var done = WireTaskDone()
      done.task = assign.task
      done.lease = assign.lease
      done.seconds = (ContinuousClock.now - started) / .seconds(1)
      done.result = outcome.result
      done.outputs = outcome.outputs
      allocation.finished(assign.task, seconds: done.seconds)
      queue.finish(assign.lease, done)
      // Said once: nobody waits for it, and the slot is free.
      if control.wasCancelled { link.letGo(lease: assign.lease) }
      send(.taskDone(done))
    } catch {
      queue.finish(assign.lease, nil)
      // The task is not to blame; nor is it to be tried here again.
      if leavesForLackOfCache() { return }
      report(assign.task, assign.lease, blamingCache(error))
    }
  }

  /// For whoever has the cache next. Without it no more is lost than the pass, and only if this process is.
  private func record(_ pass: WireTaskID, _ outputs: [WireArtifactRef], in job: ServedJob) {
    do throws(ArtifactError) { try job.passes.add(pass, outputs: outputs) } catch { logger.warning("\(error)") }
  }

  /// A file of the cache that makes no sense is no fault of the model. Its bytes are checked again before the next use.
  private func blamingCache(_ error: any Error) -> any Error {
    if case ArtifactError.corrupted(_, let digest, _) = error {
      return TaskError.missing(digest, holder: options.name, reason: "\(error)")
    }
    guard let error = error as? CheckpointError, let store = service.withLock({ $0?.store }),
      error.path.hasPrefix(store.directory + "/")
    else { return error }
    if let digest = Digest(hex: String(error.path.dropFirst(store.directory.count + 1))) { store.doubt(digest) }
    return TaskError.other("\(error)")
  }

  func report(_ task: WireTaskID, _ lease: UInt64, _ error: any Error) {
    link.letGo(lease: lease)
    let failed = WireTaskFailed(task, lease, error)
    if failed.kind != .cancelled { logger.error("task failed: \(failed.message)") }
    send(.taskFailed(failed))
  }
}
