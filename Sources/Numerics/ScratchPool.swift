import Synchronization

/// Equal buffers of floats for the pieces of a parallel loop: as many as pieces run at one time, used again and again.
///
/// A piece that allocated its own megabytes would have the system map and clear fresh pages every time.
public final class ScratchPool: Sendable {
  /// A buffer is aligned to a cache line, which AVX-512 loads profit from.
  private static let alignment = 64

  private struct Buffers: @unchecked Sendable {
    // Only pointers owned by this pool, handed to one piece at a time.
    var free: [UnsafeMutableRawPointer] = []
    var all: [UnsafeMutableRawPointer] = []
  }

  /// The number of floats in each buffer.
  public let count: Int
  private let buffers = Mutex(Buffers())

  /// A pool of buffers of `count` floats; none is allocated before it is asked for.
  public init(count: Int) {
    self.count = count
  }

  deinit {
    buffers.withLock { for buffer in $0.all { buffer.deallocate() } }
  }

  /// Lends a buffer of ``count`` floats with unspecified contents to `body`.
  public func withBuffer<Result>(_ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
    let raw = buffers.withLock { buffers in
      if let buffer = buffers.free.popLast() { return Lent(pointer: buffer) }
      let buffer = UnsafeMutableRawPointer.allocate(
        byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: Self.alignment)
      buffers.all.append(buffer)
      return Lent(pointer: buffer)
    }
    defer { buffers.withLock { $0.free.append(raw.pointer) } }
    return body(raw.pointer.bindMemory(to: Float.self, capacity: count))
  }

  /// One piece's buffer on its way out of the lock.
  private struct Lent: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
  }
}
