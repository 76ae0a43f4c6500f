import Foundation
import Messaging

/// How the coordinator and the workers of a job know each other: by the user's keys, by keys that the job makes, or not at all.
struct LaunchSecurity: Sendable {
  private let keys: String?
  private let isInsecure: Bool
  private let hasLauncher: Bool
  /// Whether the job has keys of its own: where workers come from other machines and the user has made none.
  private let makesKeys: Bool

  /// - Parameters:
  ///   - keys: the user's, in a directory, absolute; nil if there are none.
  ///   - isInsecure: whether everyone on the network is trusted.
  ///   - engine: what starts the workers; nil if they are started by hand.
  init(keys: String?, isInsecure: Bool, engine: ClusterFile.Engine?) {
    self.keys = keys
    self.isInsecure = isInsecure
    hasLauncher = engine != nil
    makesKeys = keys == nil && !isInsecure && (engine ?? .local) != .local
  }

  /// Checks that the user's keys can be used, and that nobody without keys reaches the endpoint.
  ///
  /// - Parameter origin: what the endpoint is from, for messages.
  /// - Throws: ``KeyError``; ``CoordinatorError`` for an endpoint that others could reach.
  func check(binding endpoint: String, from origin: String) throws {
    let security = try ofUser()
    if makesKeys { return }
    do throws(MessagingError) { try security.check(binding: endpoint) } catch {
      throw CoordinatorError.usage("\(origin) \(error)")
    }
  }

  private func ofUser() throws -> SocketSecurity {
    guard let keys else { return isInsecure ? .insecure : .plain }
    let directory = KeyDirectory(keys)
    // Launchers find those of the workers in the same place.
    if hasLauncher { _ = try directory.credentials(of: .worker(name: "")) }
    return .curve(try directory.credentials(of: .coordinator))
  }

  /// The coordinator's side, with the keys that the job has to make.
  ///
  /// - Throws: ``KeyError``.
  func ofCoordinator(_ job: JobDirectory) throws -> SocketSecurity {
    guard let own = ownKeys(of: job) else { return try ofUser() }
    if !FileManager.default.fileExists(atPath: own) { try KeyDirectory.create(at: own) }
    return .curve(try KeyDirectory(own).credentials(of: .coordinator))
  }

  /// The workers' side.
  func ofWorkers(_ job: JobDirectory) -> WorkerKeys {
    if let directory = keys ?? ownKeys(of: job) { return .directory(directory) }
    return isInsecure ? .insecure : .none
  }

  private func ownKeys(of job: JobDirectory) -> String? { makesKeys ? job.keysPath : nil }

  /// What a worker has to be given that is started by hand, for people.
  var workerOptions: String {
    if let keys { return " --keys \(ShellWord.quoted(keys))" }
    return isInsecure ? " --insecure" : ""
  }
}
