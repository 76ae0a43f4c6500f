import Foundation
import Logging

/// Where a job keeps what it needs to go on after a crash. One coordinator at a time.
public final class JobDirectory: Sendable {
  /// The directory, absolute.
  public let path: String

  private let lock: Int32

  public static let databaseName = "job.sqlite"

  public static func databasePath(in directory: String) -> String { "\(directory)/\(databaseName)" }
  public var databasePath: String { Self.databasePath(in: path) }
  public var artifactsPath: String { "\(path)/artifacts" }
  public var logPath: String { "\(path)/log" }

  /// Whether a directory holds a job.
  public static func holdsJob(_ directory: String) -> Bool {
    FileManager.default.fileExists(atPath: databasePath(in: directory))
  }

  /// Opens the directory, making it if it is not there, for this process alone.
  ///
  /// - Throws: ``CoordinatorError`` if another coordinator has it or it cannot be made.
  public init(_ directory: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw CoordinatorError.io("\(directory): cannot make the job directory: \(error.localizedDescription)")
    }
    path = directory
    // The lock goes with the process, however it ends.
    let lockPath = "\(directory)/lock"
    lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    if lock < 0 { throw CoordinatorError.io("\(lockPath): \(String(cString: strerror(errno)))") }
    if flock(lock, LOCK_EX | LOCK_NB) != 0 {
      close(lock)
      throw CoordinatorError.tryAgain(
        "\(directory): another coordinator is running this job; wait for it or stop it first")
    }
  }

  /// A logger that appends to the coordinator's log in this directory.
  ///
  /// - Throws: ``CoordinatorError`` if the log cannot be opened.
  public func logger() throws -> Logger {
    do {
      try FileManager.default.createDirectory(atPath: logPath, withIntermediateDirectories: true)
    } catch {
      throw CoordinatorError.io("\(logPath): \(error.localizedDescription)")
    }
    guard let stream = fopen("\(logPath)/coordinator.log", "ae") else {
      throw CoordinatorError.io("\(logPath)/coordinator.log: \(String(cString: strerror(errno)))")
    }
    return Logger(label: "crvq-coord") { _ in FileLogHandler(stream: stream) }
  }

  /// Whether a coordinator is running the job now.
  public static func isHeld(_ directory: String) -> Bool {
    let lock = open("\(directory)/lock", O_RDONLY | O_CLOEXEC)
    if lock < 0 { return false }
    defer { close(lock) }
    return flock(lock, LOCK_SH | LOCK_NB) != 0
  }

  deinit { close(lock) }
}
