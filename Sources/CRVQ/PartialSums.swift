import Numerics

/// A vector summed in parallel: a part for each lane of rows, added up in the order of lanes. Lanes are as many whatever the
/// number of threads, so that sums are the same.
package final class PartialSums: Sendable {
  /// The largest number of lanes, which bounds memory where codebooks are large.
  static let maximumLanes = 32

  package let total: Buffer<Float>
  private let parts: Buffer<Float>
  private let lanes: Int

  init(count: Int, lanes: Int) {
    total = Buffer(count)
    parts = Buffer(count * lanes)
    self.lanes = lanes
  }

  func clear() { parts.fill(with: 0) }

  func part(_ lane: Int) -> UnsafeMutablePointer<Float> { parts.base + lane * total.count }

  func add() {
    total.base.update(from: parts.base, count: total.count)
    for lane in 1..<max(1, lanes) { BLAS.saxpy(total.count, 1, part(lane), total.base) }
  }
}
