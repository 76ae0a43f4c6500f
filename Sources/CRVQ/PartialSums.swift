import Numerics

/// A vector summed in parallel: a part for each band of rows, added up in the order of bands. Bands are as many whatever the
/// number of threads, so that sums are the same.
package final class PartialSums: Sendable {
  /// The largest number of bands, which bounds memory where codebooks are large.
  static let maximumBands = 32

  package let total: Buffer<Float>
  private let parts: Buffer<Float>
  private let bands: Int

  init(count: Int, bands: Int) {
    total = Buffer(count)
    parts = Buffer(count * bands)
    self.bands = bands
  }

  func clear() { parts.fill(with: 0) }

  func part(_ band: Int) -> UnsafeMutablePointer<Float> { parts.base + band * total.count }

  func add() {
    total.base.update(from: parts.base, count: total.count)
    for band in 1..<max(1, bands) { BLAS.saxpy(total.count, 1, part(band), total.base) }
  }
}
