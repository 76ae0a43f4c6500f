import Foundation
import Logging
import Messaging

/// Where a job keeps what it needs to go on after a crash. One coordinator at a time.
public final class JobDirectory: Sendable {
  /// The directory, absolute.
  public let path: String
  /// Whether it is removed when the job ends, however that is.
  public let isTemporary: Bool

  private let lock: Int32
  /// What this process made of the directory and those it lies in, outermost first.
  private let made: [String]
  /// What there was of a job's own names when the directory was opened: a job, or files of somebody else.
  private let foundNames: Set<String>

  package static let databaseName = "job.sqlite"
  private static let artifactsName = "artifacts"
  private static let lockName = "lock"
  private static let ownNames =
    ["", "-wal", "-shm", "-journal"].map { databaseName + $0 }
    + [artifactsName, "keys", "log", lockName, SlurmLauncher.recordName]
  private static let holderLengthMax = 512
  /// Tries to lock a file that is removed, or replaced, at the very moment each time.
  private static let lockAttempts = 16

  package static func databasePath(in directory: String) -> String { "\(directory)/\(databaseName)" }
  package var databasePath: String { Self.databasePath(in: path) }
  package var artifactsPath: String { "\(path)/\(Self.artifactsName)" }
  public var logPath: String { "\(path)/log" }
  var lockPath: String { "\(path)/\(Self.lockName)" }
  /// Where the job has keys of its own, if it has.
  public var keysPath: String { "\(path)/keys" }

  /// Whether a directory holds a job.
  package static func holdsJob(_ directory: String) -> Bool {
    FileManager.default.fileExists(atPath: databasePath(in: directory))
  }

  /// Whether a directory holds something that a job made.
  package static func hasArtifacts(_ directory: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/\(artifactsName)")) ?? []
    return names.contains { Digest(hex: $0) != nil }
  }

  /// Checks that a directory holds a job or nothing, and can be written to or made. Makes nothing.
  ///
  /// - Throws: ``CoordinatorError`` `.usage`, `.io`.
  static func check(_ directory: String) throws(CoordinatorError) {
    // A job's own names may be there without a job: of a coordinator that died early, or was given such a place.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    if !holdsJob(directory), let other = names.sorted().first(where: { !ownNames.contains($0) && !isOfFileSystem($0) })
    {
      throw .usage("\(directory): is no job's directory, it has \(other) in it; choose another --job")
    }
    do throws(ArtifactError) {
      try Directory.tryOut(directory, operation: "cannot be the job directory")
    } catch { throw .io("\(error)") }
  }

  /// What a file system has in a directory by itself: at its root, or in the place of files that are open and removed.
  private static func isOfFileSystem(_ name: String) -> Bool { name == "lost+found" || name.hasPrefix(".nfs") }

  /// Opens the directory, making it if it is not there, for this process alone.
  ///
  /// - Throws: ``CoordinatorError`` if another coordinator has it or it cannot be made; nothing that was made stays.
  public init(_ directory: String, isTemporary: Bool = false) throws {
    self.isTemporary = isTemporary
    do throws(ArtifactError) {
      made = try Directory.make(directory, operation: "cannot make the job directory")
      try Directory.flush(made)
    } catch { throw CoordinatorError.io("\(error)") }
    path = directory
    // The lock goes with the process, however it ends.
    let lockPath = "\(directory)/\(Self.lockName)"
    let hadLock = FileManager.default.fileExists(atPath: lockPath)
    do throws(CoordinatorError) {
      lock = try Self.takeLock(lockPath, isThere: hadLock, of: directory)
    } catch {
      // One that another coordinator has meanwhile is not empty, and stays.
      Directory.remove(made)
      throw error
    }
    // Not before: until then another process may have been making a job here.
    foundNames = Set(
      Self.ownNames.filter { name in
        name == Self.lockName ? hadLock : FileManager.default.fileExists(atPath: "\(directory)/\(name)")
      })
    writeHolder()
  }

  /// Opens the lock's file and locks it.
  ///
  /// - Parameter isThere: whether the file was there before: if it cannot be locked, one that was not does not stay.
  private static func takeLock(_ path: String, isThere: Bool, of directory: String) throws(CoordinatorError) -> Int32 {
    for _ in 0..<lockAttempts {
      let descriptor = try openFile(path, O_RDWR | O_CREAT, mode: 0o644)
      let isLocked = lock(descriptor, command: setLock) != nil
      let code = errno
      // One that was removed or replaced since it was opened keeps nobody out.
      if isLocked, FileIdentity(descriptor: descriptor)?.isGone(from: path) == false { return descriptor }
      defer { close(descriptor) }
      if isLocked { continue }
      guard code == EAGAIN || code == EACCES else {
        if !isThere { unlink(path) }
        throw .io("\(path): cannot be locked: \(String(cString: strerror(code)))")
      }
      throw .tryAgain(
        "\(directory): another coordinator\(holder(descriptor)) is running this job; wait for it or stop it first")
    }
    throw .tryAgain("\(path): is removed again and again by somebody; try again when that has ended")
  }

  /// Whether the lock's file was removed, moved or replaced: another coordinator can then have the job as well.
  package var isLockGone: Bool { FileIdentity(descriptor: lock)?.isGone(from: lockPath) ?? true }

  /// Opens one of the directory's files. What is none, such as a pipe that nobody reads, is not waited for.
  private static func openFile(_ path: String, _ flags: Int32, mode: mode_t) throws(CoordinatorError) -> Int32 {
    let descriptor = open(path, flags | O_CLOEXEC | O_NONBLOCK, mode)
    // So it is said of a pipe that nobody reads.
    if descriptor < 0, errno != ENXIO { throw .io("\(path): \(String(cString: strerror(errno)))") }
    var status = stat()
    if descriptor >= 0, fstat(descriptor, &status) == 0, [S_IFREG, S_IFCHR].contains(status.st_mode & S_IFMT) {
      return descriptor
    }
    if descriptor >= 0 { close(descriptor) }
    throw .io("\(path): expected a file, got something else; remove it")
  }

  /// A write lock on the whole file that belongs to the open file, not to the process, so that asking for it does not take it
  /// (F_OFD_SETLK and F_OFD_GETLK of fcntl, whose numbers Swift does not know).
  private static func lock(_ descriptor: Int32, command: Int32) -> flock? {
    var region = flock()
    region.l_type = Int16(F_WRLCK)
    region.l_whence = Int16(SEEK_SET)
    return fcntl(descriptor, command, &region) == 0 ? region : nil
  }
  private static let setLock: Int32 = 37
  private static let getLock: Int32 = 36

  /// For people who are refused, so a failure does not matter.
  private func writeHolder() {
    let process = ProcessInfo.processInfo
    let text = Array("process \(process.processIdentifier) on \(process.hostName)".utf8.prefix(Self.holderLengthMax))
    guard ftruncate(lock, 0) == 0 else { return }
    _ = pwrite(lock, text, text.count, 0)
  }

  /// Who has the lock, as far as is known.
  private static func holder(_ lock: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: holderLengthMax)
    let count = pread(lock, &bytes, bytes.count, 0)
    return count > 0 ? " (\(String(decoding: bytes[..<count], as: UTF8.self)))" : ""
  }

  /// Takes back what this process made here, where a job could not be started. A job that was here before stays.
  func discard() {
    if foundNames.contains(Self.databaseName) { return }
    for name in Self.ownNames where !foundNames.contains(name) {
      try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
    Directory.remove(made)
  }

  /// A logger that appends to the coordinator's log in this directory.
  ///
  /// - Throws: ``CoordinatorError`` if the log cannot be opened.
  public func logger() throws -> Logger {
    do throws(ArtifactError) {
      try Directory.make(logPath, operation: "cannot make the directory of logs")
    } catch { throw CoordinatorError.io("\(error)") }
    let path = "\(logPath)/coordinator.log"
    let descriptor = try Self.openFile(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o666)
    guard let stream = fdopen(descriptor, "a") else {
      let code = errno
      close(descriptor)
      throw CoordinatorError.io("\(path): \(String(cString: strerror(code)))")
    }
    return Logger(label: "crvq-coord") { _ in FileLogHandler(stream: stream) }
  }

  /// Whether a coordinator is running the job now.
  public static func isHeld(_ directory: String) -> Bool {
    guard let descriptor = try? openFile("\(directory)/\(lockName)", O_RDONLY, mode: 0) else { return false }
    defer { close(descriptor) }
    return lock(descriptor, command: getLock).map { $0.l_type != Int16(F_UNLCK) } ?? false
  }

  deinit { close(lock) }
}
