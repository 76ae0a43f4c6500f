import CRVQ
import JobGraph
import Machines
import Transformer

/// What a worker holds in memory at its worst, from shapes alone. Files that it maps (model, artifacts) are the kernel's to drop
/// and do not count.
public struct MemoryNeed: Sendable, Equatable {
  /// One kind of task at its largest.
  public struct Task: Sendable, Equatable {
    /// What it is, for people: "fit of mlp.down_proj, 4096 × 11008".
    public let name: String
    public let kind: TaskID.Kind
    public let size: ByteSize
  }

  /// The program itself, its threads and its queues.
  static let process = ByteSize(bytes: UInt64(96 << 20))
  private static let float = Double(MemoryLayout<Float>.stride)
  /// Activations that a pass holds beside the hidden states.
  private static let activations = Double(DecoderBlock.workingBytesMax)
  /// Rows of three buffers that a thread of the solver works on; see the article Solver.
  private static let solverRows = 3 * Double(FitState.grainMax)

  /// The largest task of each kind, the largest first.
  public let tasks: [Task]
  public let slots: Int
  /// Bytes beside the tasks: the worker that tunes has its stream and the targets once, however many slots.
  private let kept: Double
  /// What makes tasks smaller, for people.
  let remedy: String

  /// - Parameters:
  ///   - threads: of the worker, over all its slots.
  ///   - slots: tasks at a time, each of which may be the largest.
  public init(_ job: JobShape, threads: Int, slots: Int) {
    self.slots = slots
    let tasks: [Task]
    switch job.purpose {
    case .quantization(let isRepaired, let tuneEpochs, let distillation):
      let threadsPerSlot = Double(max(1, threads / slots))
      remedy = distillation == nil ? "more --shards" : "more --shards, or fewer --threads to distill"
      let others =
        [Self.fit(job, isRepaired, threadsPerSlot), Self.collect(job), Self.verify(job)]
        + (isRepaired ? [Self.recollect(job)] : [])
        + (distillation.map { [Self.distill(job, $0, threadsPerSlot), Self.update(job, $0)] } ?? [])
      tasks = tuneEpochs > 0 ? others + [Self.tune(job)] : others
      kept = tuneEpochs > 0 ? Self.tuneExamples(job) : 0
    case .evaluation:
      remedy = "a smaller --window"
      kept = 0
      tasks = [Self.windowPass(job), Self.windowScore(job)]
    }
    self.tasks = tasks.sorted { $0.size > $1.size }
  }

  /// Of one worker.
  public var total: ByteSize { total(of: Array(repeating: largest, count: slots)) }

  /// Of one worker with these tasks in hand.
  private func total(of tasks: [Task]) -> ByteSize {
    ByteSize(bytes: tasks.reduce(Double(Self.process.bytes) + kept) { $0 + Double($1.size.bytes) })
  }

  /// What a worker needs at most for tasks of these kinds, for people; for whatever it may have, if nobody knows what it had.
  func account(of kinds: [TaskID.Kind]) -> String {
    let held = kinds.compactMap { kind in tasks.first { $0.kind == kind } }
    guard let first = held.max(by: { $0.size < $1.size }) else { return "\(total) (\(largest.name))" }
    return "\(total(of: held)) at most (\(first.name))"
  }

  /// There is a task of every kind.
  public var largest: Task { tasks[0] }

  /// W twice and W·H; H as it is kept for the site's next linear and as the solver works on it, and one partial Gram; codes, and the
  /// solver's rows. The one that repairs solves for its target before: H and the loss of all tokens, of those it judges by and
  /// of the rest, a factor of H, the change and the target.
  private static func fit(_ job: JobShape, _ isRepaired: Bool, _ threads: Double) -> Task {
    let sized = job.linears.map { linear in
      let (rows, columns) = (Double(linear.outFeatures), Double(linear.inFeatures))
      let repairs = isRepaired && linear.role == .repairing
      let weights = (repairs ? 6.0 : 3.0) * rows * columns
      let values = weights + (repairs ? 4.5 : 2.5) * columns * columns + threads * solverRows * columns
      return (linear, float * values + 2 * rows * columns / 8)
    }
    let (linear, bytes) = sized.max { $0.1 < $1.1 } ?? (job.decoder.linear(.down), 0)
    return Task(
      name: "fit of \(linear.name), \(linear.outFeatures) × \(linear.inFeatures)", kind: .fit,
      size: ByteSize(bytes: bytes))
  }

  /// The block, one shard's hidden states, activations of a part of it, and a Gram a site.
  private static func collect(_ job: JobShape) -> Task {
    let grams = Site.allCases.reduce(0.0) { sum, site in
      let width = Double(job.decoder.width(of: site))
      return sum + width * width
    }
    let widest = Double(job.decoder.intermediateSize)
    return Task(
      name: "collect of \(shard(job))", kind: .collect,
      size: ByteSize(
        bytes: float * (job.blockWeights + hidden(job) + grams + 0.5 * widest * widest) + working(job)))
  }

  /// The original block, the partly packed one and the packed one before it; a shard's hidden states in both streams, one Gram
  /// and what the output lacks.
  private static func recollect(_ job: JobShape) -> Task {
    let linear = job.decoder.linear(.repairing)
    let (rows, columns) = (Double(linear.outFeatures), Double(linear.inFeatures))
    return Task(
      name: "recollect of \(shard(job))", kind: .recollect,
      size: ByteSize(
        bytes: float * (3 * job.blockWeights + 2 * hidden(job) + 1.5 * columns * columns + 2 * rows * columns)
          + 2 * working(job)))
  }

  /// The block twice, a shard's hidden states before it and after it both ways; or a Gram and two products with it.
  private static func verify(_ job: JobShape) -> Task {
    let measured = job.linears.map { linear in
      let (rows, columns) = (Double(linear.outFeatures), Double(linear.inFeatures))
      return 1.5 * columns * columns + 2 * rows * columns
    }
    let passed = 3 * hidden(job) + working(job) / float
    return Task(
      name: "verify of a block", kind: .verify,
      size: ByteSize(bytes: float * (2 * job.blockWeights + max(measured.max() ?? 0, passed))))
  }

  /// See the article Tuning: the block three times, one weight's gradient, a micro-batch, beside what is kept.
  private static func tune(_ job: JobShape) -> Task {
    let gradient = Double(job.linears.map(\.weightCount).max() ?? 0)
    return Task(
      name: "tune of a block over \(job.sequences.counted("sequence"))", kind: .tune,
      size: ByteSize(bytes: float * (3 * job.blockWeights + gradient) + 2 * working(job)))
  }

  /// What a block sees of all sequences, and what it should make of it.
  private static func tuneExamples(_ job: JobShape) -> Double {
    float * 2 * job.tokens * Double(job.decoder.hiddenSize)
  }

  /// See the article Distilling: the states in front of every block and behind the last, the original's and a gradient; three
  /// blocks and one weight's gradient, a micro-batch's activations; or the head, and a thread's scores of the whole vocabulary.
  private static func distill(_ job: JobShape, _ distillation: JobShape.Distillation, _ threads: Double) -> Task {
    let shape = job.decoder
    let states = microBatch(job) * Double(shape.hiddenSize) * Double(shape.blockCount + 3)
    let gradient = Double(job.linears.map(\.weightCount).max() ?? 0)
    let block = float * (3 * job.blockWeights + gradient) + 2 * working(job, positions: microBatch(job))
    let words = Double(shape.vocabularySize)
    let scores = threads * Double(LanguageModelHead.divergenceRows) * 2 * words
    let head = float * (words * Double(shape.hiddenSize) + scores)
    return Task(
      name: "distill of a micro-batch", kind: .distill,
      size: ByteSize(bytes: float * (states + 2 * parameters(job, distillation)) + max(block, head)))
  }

  /// Values and what Adam keeps of them, as they come and as they go, the best so far, and a gradient.
  private static func update(_ job: JobShape, _ distillation: JobShape.Distillation) -> Task {
    Task(
      name: "update of a distillation", kind: .update,
      size: ByteSize(bytes: float * 8.5 * parameters(job, distillation)))
  }

  /// Positions of a micro-batch.
  private static func microBatch(_ job: JobShape) -> Double {
    Double(max(MicroBatches.positions, job.length))
  }

  /// What is distilled: codebooks, scales and norms.
  private static func parameters(_ job: JobShape, _ distillation: JobShape.Distillation) -> Double {
    let scales = job.linears.reduce(0.0) { $0 + Double($1.outFeatures) }
    let codebooks = Double(job.linears.count) * Double(distillation.codebookValues)
    // Biases are no more than scales.
    return Double(job.decoder.blockCount) * (2 * scales + codebooks + 2 * Double(job.decoder.hiddenSize))
  }

  /// A block, a window's hidden states and activations.
  private static func windowPass(_ job: JobShape) -> Task {
    Task(
      name: "block over a window of \(job.length) tokens", kind: .evaluate,
      size: ByteSize(bytes: float * (job.blockWeights + hidden(job)) + working(job)))
  }

  /// The head and a window's hidden states. Scores are made for few words and positions at a time.
  private static func windowScore(_ job: JobShape) -> Task {
    let head = Double(job.decoder.vocabularySize) * Double(job.decoder.hiddenSize)
    return Task(
      name: "head over a window of \(job.length) tokens", kind: .evaluate,
      size: ByteSize(bytes: float * (head + hidden(job))))
  }

  private static func shard(_ job: JobShape) -> String {
    "a shard of \((job.shards.max() ?? 0).counted("sequence")) of \(job.length) tokens"
  }

  /// Hidden states of the largest shard.
  private static func hidden(_ job: JobShape) -> Double {
    Double(job.shards.max() ?? 0) * Double(job.length) * Double(job.decoder.hiddenSize)
  }

  /// A pass goes through a shard in groups of sequences; at least one sequence is held.
  ///
  /// - Parameter positions: of the pass; nil for the largest shard.
  private static func working(_ job: JobShape, positions: Double? = nil) -> Double {
    let shape = job.decoder
    let widths = Double(shape.queryWidth + 2 * shape.keyValueWidth + 2 * shape.hiddenSize + 3 * shape.intermediateSize)
    let sequence = float * widths * Double(job.length)
    let sequences = positions.map { $0 / Double(job.length) } ?? Double(job.shards.max() ?? 1)
    return min(max(activations, sequence), sequence * sequences)
  }
}
