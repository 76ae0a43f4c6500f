import CMapping
import Foundation

/// A file's bytes mapped read-only; unmapped when the last reference goes.
///
/// A file that is cut short afterwards raises SIGBUS in whoever reads past its new end, and no check in this process can prevent
/// that: see ``endProcess(_:status:)``. Everything this package writes replaces files by rename, which leaves open mappings on
/// the old bytes.
public final class FileMapping: Sendable {
  /// Why a file could not be mapped.
  public struct Failure: Error {
    public let errno: Int32
  }

  /// Read-only memory that lives as long as this object: safe to read from any thread.
  public nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

  /// - Parameters:
  ///   - descriptor: may be closed afterwards.
  ///   - path: what the file is called where its bytes are lost.
  public init(_ descriptor: Int32, byteCount: Int, path: String) throws(Failure) {
    // mmap refuses length 0.
    if byteCount == 0 {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw Failure(errno: errno)
    }
    let failure = crvq_mapping_add(base, byteCount, path)
    if failure != 0 {
      munmap(base, byteCount)
      throw Failure(errno: failure)
    }
    bytes = UnsafeRawBufferPointer(start: base, count: byteCount)
  }

  deinit {
    guard let base = bytes.baseAddress else { return }
    crvq_mapping_remove(base)
    munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
  }

  /// Reads what another part of the system could not, so that the file whose bytes are lost is named.
  public static func touch(_ bytes: UnsafeRawBufferPointer) {
    if let base = bytes.baseAddress { crvq_mapping_touch(base, bytes.count) }
  }

  /// From now on ends the process with a line that names the file, instead of a core dump, when bytes of a mapped file are lost.
  ///
  /// - Parameter program: what the line begins with.
  public static func endProcess(_ program: String, status: Int32) { crvq_mapping_end_when_lost(program, status) }
}
