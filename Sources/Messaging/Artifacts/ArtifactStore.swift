import Foundation
import Synchronization

/// A directory of files, each named by the SHA-256 of its bytes in hexadecimal.
///
/// A file appears under its name only when it is complete: it is written in a staging directory and renamed. Its bytes are
/// checked against its name before its first use in this process, and again when the file has changed since.
/// Safe to use from any number of threads, and by several processes on one directory.
public final class ArtifactStore: Sendable {
  /// What a power failure may take away.
  public enum Durability: Sendable {
    /// Nothing: file and directory are flushed to the device before an artifact counts as stored. The coordinator's.
    case durable
    /// Anything: the artifact can be fetched or made again. The workers'.
    case cache
  }

  /// The directory, as given.
  public let directory: String
  public let durability: Durability

  let calls: FileCalls
  private let staging: StagingDirectory

  /// What is known of a file in the directory.
  private struct Entry {
    /// The file that was seen to have the right bytes; nil if none was yet in this process.
    var verified: Fingerprint?
  }
  private let entries = Mutex<[Digest: Entry]>([:])
  private let damageReport = Mutex<(@Sendable (ArtifactError) -> Void)?>(nil)
  private let roomMaker = Mutex<(@Sendable () -> Void)?>(nil)

  /// Opens a store, making the directory if there is none.
  ///
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  public convenience init(directory: String, durability: Durability) throws(ArtifactError) {
    try self.init(directory: directory, durability: durability, calls: .system)
  }

  package init(directory: String, durability: Durability, calls: FileCalls) throws(ArtifactError) {
    self.directory = directory
    self.durability = durability
    self.calls = calls
    let made = try Directory.make(directory)
    if durability == .durable { try Directory.flush(made) }
    StagingDirectory.sweep(directory)
    staging = try StagingDirectory(in: directory)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
      guard let digest = Digest(hex: name), size(of: digest) != nil else { continue }
      entries.withLock { $0[digest] = Entry(verified: nil) }
    }
  }

  /// Has every file told of that is found to have other bytes than its name says, from the thread that finds it. Whoever
  /// asked for it may go on without a word: it is fetched or made again.
  public func reportDamage(to report: @escaping @Sendable (ArtifactError) -> Void) {
    damageReport.withLock { $0 = report }
  }

  /// Has room made where a write finds none, from the thread that writes, which then tries once more.
  package func onFullDisk(_ makeRoom: @escaping @Sendable () -> Void) { roomMaker.withLock { $0 = makeRoom } }

  /// - Returns: whether there is somebody who makes room.
  func makeRoom() -> Bool {
    guard let makeRoom = roomMaker.withLock({ $0 }) else { return false }
    makeRoom()
    return true
  }

  /// Whether somebody has removed the directory, or the place in it where files are written: nothing can be stored.
  package var isGone: Bool { staging.isGone }

  /// Removes what this process has in the directory for files without a final name. Nothing can be stored any more;
  /// what is there can be read.
  package func removeStaging() { staging.remove() }

  // MARK: Putting in

  /// Stores bytes from memory.
  ///
  /// - Throws: ``ArtifactError`` `.outOfSpace`, `.io`; nothing is then stored.
  @discardableResult
  public func put(_ bytes: UnsafeRawBufferPointer) throws(ArtifactError) -> Artifact {
    let writer = try writer()
    try writer.write(bytes)
    return try writer.finish()
  }

  /// Stores bytes from memory.
  @discardableResult
  public func put(_ bytes: some ContiguousBytes) throws(ArtifactError) -> Artifact {
    let writer = try writer()
    try writer.write(bytes)
    return try writer.finish()
  }

  /// A writer for an artifact that comes in pieces.
  public func writer() throws(ArtifactError) -> ArtifactWriter {
    try ArtifactWriter(store: self, path: staging.freshPath())
  }

  /// A free path on the store's file system for a file to be made by other code and then given to ``put(movingFileAt:)``.
  /// What is left there goes away with the store, or at the next opening if the process is killed.
  public func stagingPath() -> String { staging.freshPath() }

  /// Makes a finished file an artifact without copying it; the file at `path` is then gone.
  ///
  /// - Parameter path: on the store's file system, as from ``stagingPath()``. Nobody may write to it any more.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`; the file is then left where it is.
  @discardableResult
  public func put(movingFileAt path: String) throws(ArtifactError) -> Artifact {
    let file = try OpenFile(path)
    defer { withExtendedLifetime(file) {} }
    let artifact = try file.artifact()
    try adopt(descriptor: file.descriptor, path: path, artifact)
    return artifact
  }

  /// Gives a complete file its final name.
  func adopt(descriptor: Int32, path: String, _ artifact: Artifact) throws(ArtifactError) {
    if durability == .durable, calls.sync(descriptor) != 0 { throw .system("flush", path, errno) }
    // The inode stays the same under its new name, so this is the fingerprint that ``file(_:size:)`` will see.
    let fingerprint = Fingerprint(descriptor: descriptor)
    let final = self.path(of: artifact.digest)
    if calls.rename(path, final) != 0 { throw .system("rename", path, errno) }
    if durability == .durable { try Directory.flushNames(in: directory, by: calls.sync) }
    entries.withLock { $0[artifact.digest] = Entry(verified: fingerprint) }
  }

  // MARK: Taking out

  /// Opens an artifact for reading, its bytes checked.
  ///
  /// - Parameter size: the length it must have; nil for any.
  /// - Throws: ``ArtifactError`` `.notFound`, `.wrongSize`, `.corrupted` (the file is then removed), `.io`.
  public func file(_ digest: Digest, size: UInt64? = nil) throws(ArtifactError) -> ArtifactFile {
    let path = path(of: digest)
    let opened = try openFile(digest, at: path)
    guard let fingerprint = Fingerprint(descriptor: opened.descriptor) else {
      throw .io(operation: "stat", path: path, errno: EIO)
    }
    if entries.withLock({ $0[digest]?.verified }) != fingerprint { try verify(opened, digest, fingerprint) }
    if let size, size != fingerprint.size { throw .wrongSize(path: path, expected: size, found: fingerprint.size) }
    return ArtifactFile(artifact: Artifact(digest: digest, size: fingerprint.size), opened)
  }

  private func openFile(_ digest: Digest, at path: String) throws(ArtifactError) -> OpenFile {
    let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
    if descriptor >= 0 { return OpenFile(descriptor: descriptor, path: path) }
    let code = errno
    guard code == ENOENT else { throw .system("open", path, code) }
    entries.withLock { $0[digest] = nil }
    throw .notFound(digest, directory: directory)
  }

  /// The path of an artifact for code that reads files, its bytes checked. Valid until the artifact is removed.
  ///
  /// - Throws: as ``file(_:size:)``.
  public func verifiedPath(_ digest: Digest, size: UInt64? = nil) throws(ArtifactError) -> String {
    try file(digest, size: size).path
  }

  /// Has an artifact's bytes checked again before its next use.
  public func doubt(_ digest: Digest) { entries.withLock { $0[digest]?.verified = nil } }

  private func verify(_ file: OpenFile, _ digest: Digest, _ fingerprint: Fingerprint) throws(ArtifactError) {
    let found = try file.artifact()
    guard found.digest == digest else {
      // Only the file that was read: another thread may have put a good one in its place meanwhile.
      if Fingerprint(path: file.path) == fingerprint { unlink(file.path) }
      entries.withLock { $0[digest] = nil }
      let damage = ArtifactError.corrupted(path: file.path, expected: digest, found: found.digest)
      damageReport.withLock { $0 }?(damage)
      throw damage
    }
    entries.withLock { $0[digest] = Entry(verified: fingerprint) }
  }

  /// Whether the store has a file of this name, and of this length if one is given. Its bytes are not looked at.
  public func contains(_ digest: Digest, size: UInt64? = nil) -> Bool {
    guard let found = self.size(of: digest) else { return false }
    return size == nil || size == found
  }

  /// The length in bytes of an artifact; nil if there is none.
  public func size(of digest: Digest) -> UInt64? { Self.size(ofFile: path(of: digest)) }

  /// Removes an artifact if it is there. Files and maps that are open stay readable.
  ///
  /// - Returns: the bytes freed.
  /// - Throws: ``ArtifactError`` `.io`.
  @discardableResult
  public func remove(_ digest: Digest) throws(ArtifactError) -> UInt64 {
    let path = path(of: digest)
    let size = Self.size(ofFile: path) ?? 0
    if unlink(path) != 0, errno != ENOENT { throw .system("remove", path, errno) }
    entries.withLock { $0[digest] = nil }
    return size
  }

  /// The digests this process knows to be in the store, in order.
  public var digests: [Digest] { entries.withLock { $0.keys.sorted() } }

  // MARK: Files

  /// Where the artifact is, or would be.
  package func path(of digest: Digest) -> String { "\(directory)/\(digest.hex)" }

  private static func size(ofFile path: String) -> UInt64? { Fingerprint(path: path)?.size }

  /// The errno behind an error of Foundation, which has numbers of its own and does not always tell.
  static func code(of error: any Error) -> Int32 {
    let error = error as NSError
    if let posix = [error, error.userInfo[NSUnderlyingErrorKey] as? NSError].lazy.compactMap({ $0 })
      .first(where: { $0.domain == NSPOSIXErrorDomain })
    {
      return Int32(clamping: posix.code)
    }
    switch (error as? CocoaError)?.code {
    case .fileWriteOutOfSpace: return ENOSPC
    case .fileWriteNoPermission: return EACCES
    case .fileWriteVolumeReadOnly: return EROFS
    default: return EIO
    }
  }
}

/// Tells one state of a regular file from another without reading it.
private struct Fingerprint: Equatable {
  let device: UInt64
  let inode: UInt64
  let size: UInt64
  let modifiedSeconds: Int
  let modifiedNanoseconds: Int

  init?(descriptor: Int32) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    self.init(status)
  }

  init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  private init?(_ status: stat) {
    guard status.st_mode & S_IFMT == S_IFREG else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = UInt64(clamping: status.st_size)
    modifiedSeconds = status.st_mtim.tv_sec
    modifiedNanoseconds = status.st_mtim.tv_nsec
  }
}
