import Foundation
import Messaging
import Synchronization

/// Which passes over shards of a job have left their outputs in a store: a small file each, so that the process that has the
/// store next knows too.
///
/// A record is written when its pass is done, and goes with the last of its outputs. It carries the job's name and a digest of
/// itself: one that is damaged, or of another job, counts for nothing. The outputs are checked by their digests before use.
package final class PassRecords: Sendable {
  private static let directoryName = "passes"

  private let job: String
  private let store: ArtifactStore
  private let directory: String
  /// By the names of their files.
  private let records = Mutex<[String: WireHeldPass]>([:])

  /// Reads what there is. What is in the store and no record names is removed: nobody will ask for it.
  ///
  /// - Throws: ``ArtifactError`` `.io`.
  package init(of job: String, in store: ArtifactStore) throws(ArtifactError) {
    self.job = job
    self.store = store
    directory = "\(store.directory)/\(Self.directoryName)"
    try Directory.make(directory, mode: 0o700)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
      guard let pass = read(name), pass.outputs.contains(where: isHeld) else {
        unlink("\(directory)/\(name)")
        continue
      }
      records.withLock { $0[name] = pass }
    }
    let named = Set(passes.flatMap(\.outputs).compactMap { $0.artifact?.digest })
    for digest in store.digests where !named.contains(digest) { try store.remove(digest) }
  }

  /// Notes a pass whose outputs are in the store.
  ///
  /// - Throws: ``ArtifactError``; the pass then counts for this process only.
  package func add(_ task: WireTaskID, outputs: [WireArtifactRef]) throws(ArtifactError) {
    var pass = WireHeldPass()
    pass.task = task
    pass.outputs = outputs
    let name = Self.name(of: task)
    records.withLock { $0[name] = pass }
    guard let bytes = bytes(of: pass) else { return }
    let temporary = store.stagingPath()
    let path = "\(directory)/\(name)"
    do { try bytes.write(to: URL(fileURLWithPath: temporary)) } catch {
      unlink(temporary)
      throw .foundation("write", temporary, error)
    }
    // A power failure may leave anything under the name: the digest tells.
    if rename(temporary, path) != 0 { throw .system("rename", path, errno) }
  }

  /// Removes artifacts that nobody will ask for again, and the records of passes of which nothing is left.
  package func remove(_ digests: some Collection<Digest>) {
    // One that cannot be removed goes with the store.
    for digest in digests { _ = try? store.remove(digest) }
    let gone = Set(digests)
    records.withLock { records in
      for (name, pass) in records
      where pass.outputs.contains(where: { $0.artifact.map { gone.contains($0.digest) } ?? false })
        && !pass.outputs.contains(where: isHeld)
      {
        unlink("\(directory)/\(name)")
        records[name] = nil
      }
    }
  }

  /// The passes, each with those of its outputs that are in the store.
  package var passes: [WireHeldPass] {
    let records = records.withLock { $0 }
    return records.sorted { $0.key < $1.key }.compactMap { _, pass in
      var pass = pass
      pass.outputs = pass.outputs.filter(isHeld)
      return pass.outputs.isEmpty ? nil : pass
    }
  }

  /// Whether the artifact is an output of a pass on record.
  package func names(_ digest: Digest) -> Bool {
    records.withLock { $0.values.contains { $0.outputs.contains { $0.artifact?.digest == digest } } }
  }

  private func isHeld(_ output: WireArtifactRef) -> Bool {
    output.artifact.map { store.contains($0.digest, size: $0.size) } ?? false
  }

  // MARK: Files

  private static func name(of task: WireTaskID) -> String { "\(task.kind.rawValue)-\(task.block)-\(task.shard)" }

  /// The digest of what follows, and an Inventory of one pass as it is sent.
  private func bytes(of pass: WireHeldPass) -> Data? {
    let inventory = WireInventory.pages(job: job, passes: [pass], predecessor: nil)[0]
    guard let frames = try? WorkerMessage.inventory(inventory).frames() else { return nil }
    let message = Data(frames.joined())
    return Digest.of(message).data + message
  }

  private func read(_ name: String) -> WireHeldPass? {
    guard let file = FileHandle(forReadingAtPath: "\(directory)/\(name)") else { return nil }
    defer { try? file.close() }
    let limit = Digest.byteCount + Envelope.headerLength + Envelope.payloadLimit
    guard let bytes = try? file.read(upToCount: limit), bytes.count > Digest.byteCount + Envelope.headerLength else {
      return nil
    }
    let message = [UInt8](bytes.dropFirst(Digest.byteCount))
    guard Digest.of(message).data == bytes.prefix(Digest.byteCount) else { return nil }
    let frames = [Array(message.prefix(Envelope.headerLength)), Array(message.dropFirst(Envelope.headerLength))]
    guard case .inventory(let inventory)? = try? WorkerMessage(frames: frames), inventory.jobID == job,
      let pass = inventory.passes.first, Self.name(of: pass.task) == name
    else { return nil }
    return pass
  }
}
