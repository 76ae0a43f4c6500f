import Foundation
import JobGraph
import Logging
import Messaging

/// A job with everything it needs to run around it: sockets, workers, display. What `launch` and `resume` do, and `evaluate`
/// where it has workers.
public final class RunningJob: Sendable {
  /// How it runs; none of this changes a byte of the output.
  public struct Settings: Sendable {
    /// Where workers connect to.
    public var endpoint: String
    /// How coordinator and workers know each other.
    public var security: SocketSecurity
    /// What is to be repeated when the job is resumed, for people.
    public var resumeOptions: String
    public var launcher: any WorkerLauncher
    public var display: any ProgressDisplay
    /// Where others may look; nil for nowhere.
    public var dashboard: Dashboard?

    public init(
      endpoint: String, security: SocketSecurity, resumeOptions: String, launcher: any WorkerLauncher,
      display: any ProgressDisplay, dashboard: Dashboard? = nil
    ) {
      self.endpoint = endpoint
      self.security = security
      self.resumeOptions = resumeOptions
      self.launcher = launcher
      self.display = display
      self.dashboard = dashboard
    }
  }

  private let job: PreparedJob
  private let settings: Settings
  private let context: ZMQContext
  private let link: CoordinatorLink
  private let server: ArtifactServer
  private let client: ArtifactClient
  private let engine: JobEngine
  private let board: SnapshotBoard?

  /// Binds the endpoints.
  ///
  /// - Throws: ``CoordinatorError``, for a port in use; ``MessagingError``. The job stays: whoever wanted it to begin
  ///   takes it back, see ``PreparedJob/discard()``.
  public init(_ job: PreparedJob, _ settings: Settings, logger: Logger) throws {
    self.job = job
    self.settings = settings
    let (security, display) = (settings.security, settings.display)
    let served: ServedArtifacts
    do throws(ArtifactError) { served = try ServedArtifacts(job.artifacts, job.inputs) } catch {
      throw CoordinatorError.io("\(error)")
    }
    do throws(MessagingError) {
      let endpoint = try Endpoint(settings.endpoint)
      context = try ZMQContext { line in
        logger.warning("\(line)")
        display.note(line)
      }
      link = try CoordinatorLink(binding: settings.endpoint, context: context, security: security)
      server = try ArtifactServer(
        binding: Endpoint(host: endpoint.host, port: nil).description,
        serving: served, context: context, security: security, logger: logger)
      client = try ArtifactClient(context: context, security: security) { logger.warning("\($0)") }
    } catch {
      switch error {
      case .badEndpoint, .unprotected: throw CoordinatorError.usage("--bind \(error)")
      default: throw CoordinatorError.io("\(error)")
      }
    }
    board = settings.dashboard == nil ? nil : SnapshotBoard()
    let artifactHolder = ArtifactHolder(try Self.advertised(server.endpoint), key: security.publicKey)
    engine = JobEngine(
      job, link: link, client: client, artifactHolder: artifactHolder, welcome: job.welcome(artifactHolder),
      display: settings.display, board: board, logger: logger)
  }

  /// The endpoint that others are told: a wildcard is replaced by this machine's name.
  private static func advertised(_ endpoint: String) throws -> String {
    let bound = try Endpoint(endpoint)
    return bound.isWildcard ? bound.at(host: ProcessInfo.processInfo.hostName).description : endpoint
  }

  /// Runs the job to its end on the calling thread.
  ///
  /// - Throws: ``CoordinatorError``; what was stored stays. A job that was to begin and gets no workers is taken back.
  public func run() throws {
    for warning in job.warnings { settings.display.note(warning) }
    if let dashboard = settings.dashboard, let board {
      for line in dashboard.notes { engine.note(line) }
      dashboard.show(job.directory, board)
    }
    defer {
      settings.launcher.stop()
      settings.display.close()
      link.close()
      server.close()
      client.close()
      // Workers started by hand would wait long for a shutdown that is lost.
      context.terminate()
      // The process may end before the store goes by itself.
      job.artifacts.removeStaging()
    }
    try startWorkers()
    do { try engine.run(settings.launcher) } catch let error as CoordinatorError { throw advised(error) }
  }

  /// A job that ended early, with how to go on.
  private func advised(_ error: CoordinatorError) -> CoordinatorError {
    guard let resumeCommand, error.canBeResumed, !job.store.isGone else { return error }
    let text = "\(error); go on with: \(resumeCommand)"
    if case .io = error { return .io(text) }
    return .tryAgain(text)
  }

  private func startWorkers() throws {
    do {
      try settings.launcher.start(endpoint: Self.advertised(link.endpoint)) { [engine] event in engine.handle(event) }
    } catch {
      job.discard()
      throw error
    }
  }

  /// Stops the job where it is. From any thread.
  public func stop(_ reason: String) { engine.stop(.tryAgain(reason)) }

  /// How a user goes on with a job that was stopped; nil for one that is not kept.
  public var resumeCommand: String? {
    guard job.purpose.isResumable else { return nil }
    return "crvq-coord resume --job \(ShellWord.quoted(job.directory.path))\(settings.resumeOptions)"
  }
}

extension PreparedJob {
  /// What every worker is told of the job.
  fileprivate func welcome(_ holder: ArtifactHolder) -> WireWelcome {
    var welcome = WireWelcome()
    welcome.jobID = record.name
    welcome.heartbeatMs = UInt32(JobEngine.heartbeat / .milliseconds(1))
    welcome.modelDirectory = purpose.model
    welcome.model = WireArtifactRef(name: "manifest", inputs.manifestArtifact)
    welcome.tokensPath = purpose.tokens
    welcome.tokens = WireArtifactRef(name: "tokens", inputs.tokens)
    welcome.artifactEndpoint = holder.endpoint
    welcome.options = purpose.wireOptions()
    welcome.shards = plan.shards.map { shard in
      var wire = WireShard()
      wire.firstSequence = UInt32(shard.firstSequence)
      wire.count = UInt32(shard.sequenceCount)
      wire.heldOut = shard.isHeldOut
      return wire
    }
    return welcome
  }
}
