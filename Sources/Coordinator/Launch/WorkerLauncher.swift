/// How a job gets its workers. A launcher only starts and ends processes; what they do is between them and the coordinator.
public protocol WorkerLauncher: AnyObject, Sendable {
  /// Starts the workers, which connect to `endpoint`.
  ///
  /// - Parameter report: called from any thread with what there is to say.
  /// - Throws: ``CoordinatorError`` if none can be started.
  func start(endpoint: String, report: @escaping @Sendable (LauncherEvent) -> Void) throws
  /// Ends the process of a worker that stands still, so that its place is filled again.
  ///
  /// - Parameters:
  ///   - worker: by its name.
  ///   - time: a process started later is another one, and stays.
  /// - Returns: whether there is one to be ended from here.
  func end(worker: String, startedBefore time: ContinuousClock.Instant) -> Bool
  /// Starts no worker again from now on: those that end have been told to.
  func retire()
  /// Ends the workers and waits for them, for a bounded time.
  func stop()
}

extension WorkerLauncher {
  public func end(worker: String, startedBefore time: ContinuousClock.Instant) -> Bool { false }
}

/// What a launcher has to say.
public enum LauncherEvent: Sendable {
  case note(String)
  /// The kernel, or the engine, has ended the worker of this name for want of memory.
  case outOfMemory(worker: String, LaunchPlan.Place)
  /// No worker is left and none will be started again.
  case exhausted(String)
}

/// `--launcher none`: workers are started by hand.
public final class ManualLauncher: WorkerLauncher {
  private let options: String

  /// - Parameter options: what workers have to be given beside the endpoint, for people.
  public init(options: String = "") { self.options = options }

  public func start(endpoint: String, report: @escaping @Sendable (LauncherEvent) -> Void) throws {
    report(.note("waiting for workers: crvq-worker --connect \(endpoint)\(options)"))
  }

  public func retire() {}

  public func stop() {}
}
