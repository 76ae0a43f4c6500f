import Numerics

// Files are little-endian, as is every machine this package is built for; bytes are taken as they are.

/// Widens a piece of a tensor. `bytes` may lie at any address; its size is that of `destination.count` elements.
///
/// - Precondition: a floating-point type. The only caller has just asked ``SafetensorsFile/requireFloatingPoint(_:)``, which knows the
///   same three.
func widen(
  _ bytes: UnsafeRawBufferPointer, _ elementType: ElementType, into destination: UnsafeMutableBufferPointer<Float>
) {
  guard let source = bytes.baseAddress, let target = destination.baseAddress else { return }
  switch elementType {
  case .float32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: bytes.count)
  case .float16: withAlignedHalves(source, count: destination.count) { Half.widen($0, into: target + $1, count: $2) }
  case .bfloat16:
    withAlignedHalves(source, count: destination.count) { Half.widenBFloat16($0, into: target + $1, count: $2) }
  default: preconditionFailure("\(elementType.rawValue) is not widened to Float")
  }
}

/// Calls `body` with aligned runs of 16-bit values, the index of the first and their number: one run if `source` is aligned,
/// copies of bounded size if not.
private func withAlignedHalves(
  _ source: UnsafeRawPointer, count: Int, _ body: (UnsafePointer<UInt16>, Int, Int) -> Void
) {
  if UInt(bitPattern: source) % 2 == 0 {
    body(source.assumingMemoryBound(to: UInt16.self), 0, count)
    return
  }
  withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 4096) { copy in
    guard let base = copy.baseAddress else { return }
    for start in stride(from: 0, to: count, by: copy.count) {
      let length = min(copy.count, count - start)
      UnsafeMutableRawPointer(base).copyMemory(from: source + 2 * start, byteCount: 2 * length)
      body(base, start, length)
    }
  }
}

/// Widens integers that may lie at any address.
func loadIntegers<T: FixedWidthInteger & BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer, as type: T.Type) -> [Int] {
  let size = MemoryLayout<T>.size
  // Every type in use fits Int: 64-bit platforms only, and values of UInt64 are not read.
  return (0..<bytes.count / size).map { Int(bytes.loadUnaligned(fromByteOffset: $0 * size, as: T.self)) }
}

/// The coordinates of the element at `index` of a row-major tensor: `[row, column]`.
func coordinates(of index: Int, in shape: [Int]) -> [Int] {
  var rest = index
  var coordinates: [Int] = []
  for size in shape.reversed() {
    coordinates.append(rest % size)
    rest /= size
  }
  return coordinates.reversed()
}
