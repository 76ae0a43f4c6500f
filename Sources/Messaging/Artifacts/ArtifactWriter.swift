import Foundation

/// An artifact in the making: a temporary file that gets its name, its digest, when it is finished.
///
/// Belongs to one thread. A writer that goes away unfinished removes its file. Write in large pieces; there is no buffer.
public final class ArtifactWriter {
  /// Bytes written so far.
  public private(set) var size: UInt64 = 0

  private let store: ArtifactStore
  private let path: String
  private var descriptor: Int32
  private var builder = DigestBuilder()

  init(store: ArtifactStore, path: String) throws(ArtifactError) {
    self.store = store
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    if descriptor < 0 { throw .system("create", path, errno) }
  }

  deinit { abandon() }

  /// Appends bytes.
  ///
  /// - Throws: ``ArtifactError`` `.outOfSpace` or `.io`; the temporary file is then gone and the writer of no more use.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(ArtifactError) {
    precondition(descriptor >= 0, "the writer is finished")
    guard let base = bytes.baseAddress else { return }
    var done = 0
    var wasFull = false
    while done < bytes.count {
      let written = store.calls.write(descriptor, base + done, bytes.count - done)
      if written < 0 {
        let code = errno
        if code == EINTR { continue }
        let error = ArtifactError.system("write", path, code)
        if case .outOfSpace = error, !wasFull, store.makeRoom() {
          wasFull = true
          continue
        }
        abandon()
        throw error
      }
      done += written
    }
    builder.update(bytes)
    size += UInt64(bytes.count)
  }

  /// Appends bytes.
  public func write(_ bytes: some ContiguousBytes) throws(ArtifactError) {
    // ContiguousBytes rethrows untyped; the closure throws nothing but ArtifactError.
    do { try bytes.withUnsafeBytes { try write($0) } } catch let error as ArtifactError { throw error } catch {}
  }

  /// Gives the file its final name, on disk for good if the store is durable.
  ///
  /// - Parameter expected: what the bytes must be; nil takes them as they are.
  /// - Throws: ``ArtifactError`` `.mismatch`, `.outOfSpace` or `.io`; nothing is then stored.
  @discardableResult
  public func finish(expecting expected: Artifact? = nil) throws(ArtifactError) -> Artifact {
    precondition(descriptor >= 0, "the writer is finished")
    let artifact = Artifact(digest: builder.digest, size: size)
    if let expected, expected != artifact {
      abandon()
      throw .mismatch(expected: expected, found: artifact)
    }
    do {
      try store.adopt(descriptor: descriptor, path: path, artifact)
    } catch {
      abandon()
      throw error
    }
    close(descriptor)
    descriptor = -1
    return artifact
  }

  /// Removes the temporary file.
  public func abandon() {
    if descriptor < 0 { return }
    close(descriptor)
    descriptor = -1
    unlink(path)
  }
}
