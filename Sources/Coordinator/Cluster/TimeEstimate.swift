import Foundation
import Numerics
import Synchronization
import Transformer

/// How long a job would take, by its operations and the speed of matrix products. Good to a factor of two: it knows nothing of
/// other work on the machines, of disks and of networks.
public struct TimeEstimate: Sendable {
  /// Floating-point operations of the job, or what takes as long.
  public let operations: Double

  /// A fit makes some 25 products with H and 50 sweeps over the weights (article Solver); sweeps do not run at a product's speed,
  /// so the sum is doubled, which meets what the article measured.
  private static let products = 25.0
  private static let sweepOperations = 50.0 * 1024
  private static let sweepShare = 2.0

  public init(_ job: JobShape) {
    let tokens = Double(job.sequences) * Double(job.length)
    let attention = 2 * tokens * Double(job.length) * Double(job.decoder.queryWidth)
    let pass = 2 * tokens * job.blockWeights + attention
    if job.isEvaluation {
      let head = 2 * tokens * Double(job.decoder.vocabularySize) * Double(job.decoder.hiddenSize)
      operations = Double(job.decoder.blockCount) * pass + head
      return
    }
    let grams = Site.allCases.reduce(0.0) { sum, site in
      let width = Double(job.decoder.width(of: site))
      return sum + tokens * width * width
    }
    let repairing = job.decoder.linear(.repairing)
    let loss = 2 * tokens * Double(repairing.weightCount)
    let fits = job.linears.reduce(0.0) { sum, linear in
      let weights = Double(linear.weightCount)
      let fit = Self.products * 2 * weights * Double(linear.inFeatures) + Self.sweepOperations * weights
      return sum + Self.sweepShare * fit
    }
    let block = pass + grams + fits + (job.isRepaired ? 2 * pass + loss + grams / 2 : 0)
    operations = Double(job.decoder.blockCount) * block
  }

  /// Seconds on so many threads, each of this speed.
  public func seconds(threads: Int, operationsPerSecond: Double) -> Double {
    operations / (Double(max(1, threads)) * operationsPerSecond)
  }

  /// Operations a second of one thread while all cores multiply matrices, measured for about a second.
  public static func measuredSpeed(threads: Int) -> Double {
    let side = 768
    let total = Mutex(0.0)
    ThreadTeam(threads: threads).forEach(threads) { _ in
      let a = [Float](repeating: 0.5, count: side * side)
      var c = [Float](repeating: 0, count: side * side)
      let start = ContinuousClock.now
      var products = 0.0
      while ContinuousClock.now - start < .seconds(1) {
        BLAS.sgemm(.no, .yes, m: side, n: side, k: side, a, lda: side, a, ldb: side, &c, ldc: side)
        products += 1
      }
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      total.withLock { $0 += products * 2 * pow(Double(side), 3) / seconds }
    }
    return total.withLock { $0 } / Double(threads)
  }
}
