import Foundation
import Messaging

/// Where workers keep what they make: for each job a directory, in it a ``Berth`` for each process, and what they all read of the
/// coordinator's files.
///
/// What a process leaves that is killed, or loses its coordinator, is taken over by the next one of that job on this machine, and
/// removed when the job is done or one of another job comes.
struct CacheDirectory {
  let path: String
  /// The user named no place: the processes of a user share one in the temporary directory.
  let isTemporary: Bool

  /// - Parameter given: by the user. On a file system that machines share each has a folder there: what locks say on one need not hold
  ///   on another.
  init(_ given: String?) {
    path = given.map { "\($0)/\(Self.hostName)" } ?? "\(Self.temporary)crvq-workers-\(geteuid())"
    isTemporary = given == nil
  }

  private static var hostName: String {
    let name = String(ProcessInfo.processInfo.hostName.prefix(64)).replacing("/", with: "_")
    return name.isEmpty || name.hasPrefix(".") ? "host" : name
  }

  /// Makes the directory, so that one that cannot be is known before any work begins.
  ///
  /// - Throws: ``WorkerError`` `.io`, also for a temporary one that others may write to: results are taken from it on trust.
  func make() throws(WorkerError) {
    try Self.make(path)
    if !isTemporary { return }
    var status = stat()
    let isOwn =
      lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
      && status.st_mode & 0o022 == 0
    if !isOwn { throw .io("\(path): is not a directory of this user alone; remove it or give --cache") }
  }

  /// Makes a directory of a cache, for this user alone.
  ///
  /// - Throws: ``WorkerError`` `.io`.
  static func make(_ path: String) throws(WorkerError) {
    do throws(ArtifactError) {
      try Directory.make(path, mode: 0o700, operation: "cannot make the cache directory")
    } catch { throw .io("\(error)") }
  }

  /// A place for what a process makes of a job. The name of the job comes over the wire, so it is no part of the path.
  ///
  /// - Throws: ``WorkerError`` `.io`.
  func berth(forJob job: String, of worker: Data) throws(WorkerError) -> Berth {
    try Berth.take(in: path(ofJob: job), for: worker)
  }

  /// The place for files of the coordinator's machine, of all processes of a job.
  func filesPath(ofJob job: String) -> String { "\(path(ofJob: job))/\(Berth.commonName)" }

  private func path(ofJob job: String) -> String {
    "\(path)/\(Digest.of(Array(job.utf8)).hex.prefix(Self.jobNameLength))"
  }

  /// Enough that no two jobs meet.
  private static let jobNameLength = 32

  /// Removes what workers that have ended left of other jobs.
  func removeOthers(than job: String) {
    let own = path(ofJob: job)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      let directory = "\(path)/\(name)"
      // Only what this program can have made.
      guard name.count == Self.jobNameLength, name.allSatisfy(\.isHexDigit), directory != own else { continue }
      Berth.removeIdle(in: directory)
    }
  }

  /// Removes what workers that have ended left of a job, and the directory itself if nobody uses it.
  func remove(job: String) {
    Berth.removeIdle(in: path(ofJob: job))
    removeIfUnused()
  }

  /// Removes the directory itself if nothing is in it.
  func removeIfUnused() { rmdir(path) }

  private static var temporary: String {
    let path = NSTemporaryDirectory()
    return path.hasSuffix("/") ? path : path + "/"
  }
}
