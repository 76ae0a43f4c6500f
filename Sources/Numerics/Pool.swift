import Synchronization

/// Working memory for the pieces of a parallel loop: as many elements as pieces run at one time, used again and again.
///
/// A piece that allocated its own megabytes would have the system map and clear fresh pages every time.
package final class Pool<Element: Sendable>: Sendable {
  private let free = Mutex<[Element]>([])
  private let make: @Sendable () -> Element

  /// None is made before it is asked for.
  package init(_ make: @escaping @Sendable () -> Element) {
    self.make = make
  }

  /// Lends an element to `body`, as whoever had it last left it.
  package func withElement<Result>(_ body: (Element) -> Result) -> Result {
    let element = free.withLock { $0.popLast() } ?? make()
    defer { free.withLock { $0.append(element) } }
    return body(element)
  }
}

extension Pool where Element == Buffer<Float> {
  /// A pool of buffers of `count` floats.
  package convenience init(count: Int) {
    self.init { Buffer(count) }
  }

  /// Lends a buffer's floats, their values unspecified.
  package func withBuffer<Result>(_ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
    withElement { body($0.base) }
  }
}
