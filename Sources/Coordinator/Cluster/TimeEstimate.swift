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

  /// Passes over the calibration tokens that an epoch of a block's tune takes as long as, and what a tune takes besides (article
  /// Tuning).
  private static let epochPasses = 3.5
  private static let tunePasses = 2.0

  public init(_ job: JobShape) {
    let blocks = Double(job.decoder.blockCount)
    operations =
      switch job.purpose {
      case .quantization(let isRepaired, let tuneEpochs, let distillation):
        blocks * (Self.collect(job) + Self.fits(job) + (isRepaired ? Self.repair(job) : 0) + Self.tune(job, tuneEpochs))
          + Self.distill(job, distillation?.epochs ?? 0)
      case .evaluation: blocks * Self.pass(job) + Self.head(job)
      }
  }

  /// All tokens once through a block.
  private static func pass(_ job: JobShape) -> Double {
    let attention = 2 * job.tokens * Double(job.length) * Double(job.decoder.queryWidth)
    return 2 * job.tokens * job.blockWeights + attention
  }

  private static func collect(_ job: JobShape) -> Double {
    Site.allCases.reduce(pass(job)) { sum, site in
      let width = Double(job.decoder.width(of: site))
      return sum + job.tokens * width * width
    }
  }

  private static func fits(_ job: JobShape) -> Double {
    job.linears.reduce(0) { sum, linear in
      let weights = Double(linear.weightCount)
      let fit = products * 2 * weights * Double(linear.inFeatures) + sweepOperations * weights
      return sum + sweepShare * fit
    }
  }

  /// Both streams again, with a Gram of the one and what the other lacks.
  private static func repair(_ job: JobShape) -> Double {
    let linear = job.decoder.linear(.repairing)
    let width = Double(linear.inFeatures)
    return 2 * pass(job) + 2 * job.tokens * Double(linear.weightCount) + job.tokens * width * width
  }

  private static func tune(_ job: JobShape, _ epochs: Int) -> Double {
    epochs == 0 ? 0 : (tunePasses + epochPasses * Double(epochs)) * pass(job)
  }

  /// Forward, forward again and backward, with the head's two scorings and its gradient; the original's stream once (by
  /// each worker for what it is given, so at most once an epoch).
  private static func distill(_ job: JobShape, _ epochs: Int) -> Double {
    if epochs == 0 { return 0 }
    let blocks = Double(job.decoder.blockCount) * pass(job)
    return blocks + Double(epochs) * ((1 + epochPasses) * blocks + 3 * head(job))
  }

  private static func head(_ job: JobShape) -> Double {
    2 * job.tokens * Double(job.decoder.vocabularySize) * Double(job.decoder.hiddenSize)
  }

  /// Seconds on threads that do so many operations a second together.
  public func seconds(operationsPerSecond: Double) -> Double { operations / max(1, operationsPerSecond) }
}
