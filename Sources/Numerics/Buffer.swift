/// Uninitialised memory for `count` numbers, freed with its owner: scratch and state of numerical loops, which work on
/// pointers. An array's uniqueness and bounds checks would cost more than the arithmetic there.
package final class Buffer<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
  // Unchecked: as with a raw pointer, callers write disjoint parts from different threads.
  package let base: UnsafeMutablePointer<Element>
  package let count: Int
  private let isOwner: Bool

  /// Room for `count` values; their contents are undefined.
  package init(_ count: Int) {
    self.count = count
    isOwner = true
    let bytes = UnsafeMutableRawPointer.allocate(
      byteCount: max(1, count) * MemoryLayout<Element>.stride, alignment: 64)
    base = bytes.bindMemory(to: Element.self, capacity: max(1, count))
  }

  /// A view of memory that outlives this object and is freed by its owner.
  package init(borrowing memory: UnsafeMutableBufferPointer<Element>) {
    count = memory.count
    isOwner = memory.baseAddress == nil
    base = memory.baseAddress ?? UnsafeMutablePointer.allocate(capacity: 1)
  }

  /// Room for `count` values, all `value`.
  package convenience init(_ count: Int, filledWith value: Element) {
    self.init(count)
    fill(with: value)
  }

  deinit {
    if isOwner { UnsafeMutableRawPointer(base).deallocate() }
  }

  /// Sets every value.
  package func fill(with value: Element) { base.update(repeating: value, count: count) }

  /// The values as an array.
  package var array: [Element] { Array(UnsafeBufferPointer(start: base, count: count)) }
}
