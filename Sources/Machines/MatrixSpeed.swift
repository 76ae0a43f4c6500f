import Foundation
import Numerics
import Synchronization

/// How fast a machine multiplies matrices with all its threads at once: most of what a job does.
public struct MatrixSpeed: Sendable, Equatable {
  public let threads: Int
  /// Floating-point operations a second of one thread.
  public let operationsPerSecond: Double

  /// What ``measure(threads:seconds:)`` is to take, where nobody says.
  public static let usualSeconds = 10.0

  private static let marker = "crvq-speed-1"
  private static let side = 768

  public init(threads: Int, operationsPerSecond: Double) {
    self.threads = threads
    self.operationsPerSecond = operationsPerSecond
  }

  /// Multiplies on each of the threads for so long.
  public static func measure(threads: Int, seconds: Double = usualSeconds) -> MatrixSpeed {
    let total = Mutex(0.0)
    ThreadTeam(threads: threads).forEach(threads) { _ in
      let a = [Float](repeating: 0.5, count: side * side)
      var c = [Float](repeating: 0, count: side * side)
      let start = ContinuousClock.now
      var products = 0.0
      while ContinuousClock.now - start < .seconds(seconds) {
        BLAS.sgemm(.no, .yes, m: side, n: side, k: side, a, lda: side, a, ldb: side, &c, ldc: side)
        products += 1
      }
      let elapsed = (ContinuousClock.now - start) / .seconds(1)
      total.withLock { $0 += products * 2 * pow(Double(side), 3) / elapsed }
    }
    return MatrixSpeed(threads: threads, operationsPerSecond: total.withLock { $0 } / Double(threads))
  }

  /// A line that ``init(line:)`` reads, on another machine perhaps.
  public var line: String { "\(Self.marker) \(threads) \(operationsPerSecond)" }

  /// - Returns: nil for a line that is no ``line``.
  public init?(line: some StringProtocol) {
    let words = line.split(separator: " ")
    guard words.count == 3, words[0] == Self.marker, let threads = Int(words[1]), threads > 0,
      let speed = Double(words[2]), speed.isFinite, speed > 0
    else { return nil }
    self.init(threads: threads, operationsPerSecond: speed)
  }
}
