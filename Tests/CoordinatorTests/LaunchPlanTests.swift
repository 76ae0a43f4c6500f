import Checkpoint
import Coordinator
import JobGraph
import Machines
import Testing
import Transformer

@Suite struct LaunchPlanTests {
  /// The sizes of Llama-2-7B.
  private static func decoder() throws -> DecoderShape {
    try shape(
      """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
       "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000, "rms_norm_eps": 1e-5}
      """)
  }

  private static func shape(_ json: String) throws -> DecoderShape {
    try LanguageModel(config: ModelConfig(document: JSONValue(parsing: Array(json.utf8)), path: "x")).shape
  }

  /// Of three blocks, eight query heads and two of keys and values, each eight wide: no two widths are the same.
  private static func smallDecoder() throws -> DecoderShape {
    try shape(
      """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 48, "intermediate_size": 160,
       "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 100,
       "rms_norm_eps": 1e-5}
      """)
  }

  private func small(
    length: Int, shards: [Int], purpose: JobShape.Purpose = .quantization(isRepaired: true, tuneEpochs: 1)
  ) throws -> JobShape {
    JobShape(decoder: try Self.smallDecoder(), length: length, shards: shards, purpose: purpose)
  }

  /// Rows and columns of the linears of the small decoder.
  private static let smallLinears: [(rows: Double, columns: Double)] = [
    (64, 48), (16, 48), (16, 48), (48, 64), (160, 48), (160, 48), (48, 160),
  ]
  private static let smallWeights = smallLinears.reduce(0.0) { $0 + $1.rows * $1.columns }
  /// Values a token that a pass through a block holds: queries, keys and values, two of the stream, three of the MLP.
  private static let smallWidths: Double = 64 + 2 * 16 + 2 * 48 + 3 * 160
  /// The Grams of the four sites.
  private static let smallGrams = [48.0, 64, 48, 160].reduce(0.0) { $0 + $1 * $1 }
  /// The Gram, and the weights, of its last linear, which is the largest.
  private static let (smallLastGram, smallLastWeights) = (160.0 * 160, 48.0 * 160)

  private func job(
    shards: [Int] = Array(repeating: 16, count: 16), tuneEpochs: Int = 0, distillEpochs: Int? = nil
  ) throws -> JobShape {
    JobShape(
      decoder: try Self.decoder(), length: 2048, shards: shards,
      purpose: .quantization(
        isRepaired: true, tuneEpochs: tuneEpochs,
        distillation: distillEpochs.map { JobShape.Distillation(epochs: $0, codebookValues: 8 * 4 * 256) }))
  }

  private func machine(cores: Int, gibibytes: UInt64) -> Machine {
    Machine(name: "m", cores: cores, memory: ByteSize(bytes: gibibytes << 30))
  }

  private var local: ClusterFile { ClusterFile(engine: .local) }

  /// By hand: six matrices of 4096 × 11008, four and a half Grams of 11008², codes, and the solver's rows.
  @Test func theLargestFitIsThatOfTheShapes() throws {
    let need = MemoryNeed(try job(), threads: 2, slots: 1)
    let fit = try #require(need.tasks.first { $0.name.hasPrefix("fit") })
    #expect(fit.name == "fit of mlp.down_proj, 4096 × 11008")
    let weights = 4096.0 * 11008
    let values = 6 * weights + 4.5 * 11008 * 11008 + 2 * 3 * 128 * 11008
    #expect(fit.size == ByteSize(bytes: 4 * values + weights / 4))
    #expect(need.largest.size == need.tasks.map(\.size).max())
  }

  /// By hand: a block thrice, the largest gradient and two passes' activations; the states in front of each block and around the
  /// head; parameters and gradients of all blocks.
  @Test func aDistillationHoldsABlockAndTheStatesOfOneMicroBatch() throws {
    let need = MemoryNeed(try job(distillEpochs: 2), threads: 2, slots: 1)
    let distill = try #require(need.tasks.first { $0.kind == .distill })
    let block = 4.0 * 4096 * 4096 + 3 * 4096 * 11008
    let widths = 3.0 * 4096 + 2 * 4096 + 3 * 11008
    let scales = 5.0 * 4096 + 2 * 11008
    let parameters = 32 * (2 * scales + 7 * 8192 + 2 * 4096)
    let ofBlock = 3 * block + 4096 * 11008 + 2 * 2048 * widths
    let values = ofBlock + 35 * 2048 * 4096 + 2 * parameters
    #expect(distill.size == ByteSize(bytes: 4 * values))
    let update = try #require(need.tasks.first { $0.kind == .update })
    #expect(update.size == ByteSize(bytes: 4 * 8.5 * parameters))
    // Whatever the calibration.
    let larger = MemoryNeed(try job(shards: Array(repeating: 64, count: 16), distillEpochs: 9), threads: 2, slots: 1)
    #expect(larger.tasks.contains(distill) && larger.tasks.contains(update))
    #expect(!MemoryNeed(try job(), threads: 2, slots: 1).tasks.contains { $0.kind == .distill })
  }

  private func size(_ kind: TaskID.Kind, _ job: JobShape) throws -> ByteSize {
    try #require(MemoryNeed(job, threads: 2, slots: 1).tasks.first { $0.kind == kind }).size
  }

  /// By hand, of shards of 5 sequences of 32 tokens at most. A collect: a block, states, activations, a Gram a site and
  /// half of the widest. A recollect: three blocks, both streams, a Gram and a half, the weights twice. A tune: three
  /// blocks and the largest weight's gradient.
  @Test func tasksOfABlockHoldItAndAShard() throws {
    let job = try small(length: 32, shards: [5, 5, 4])
    let (states, working) = (5.0 * 32 * 48, 5.0 * 32 * Self.smallWidths)
    let collect = Self.smallWeights + states + Self.smallGrams + 0.5 * Self.smallLastGram + working
    #expect(try size(.collect, job) == ByteSize(bytes: 4 * collect))
    let loss = 1.5 * Self.smallLastGram + 2 * Self.smallLastWeights
    let recollect = 3 * Self.smallWeights + 2 * states + loss + 2 * working
    #expect(try size(.recollect, job) == ByteSize(bytes: 4 * recollect))
    let tune = 3 * Self.smallWeights + Self.smallLastWeights + 2 * working
    #expect(try size(.tune, job) == ByteSize(bytes: 4 * tune))
    let need = MemoryNeed(job, threads: 2, slots: 1)
    #expect(need.tasks.contains { $0.name == "collect of a shard of 5 sequences of 32 tokens" })
    #expect(need.tasks.contains { $0.name == "tune of a block over 14 sequences" })
    let plain = try small(length: 32, shards: [5], purpose: .quantization(isRepaired: false, tuneEpochs: 0))
    #expect(Set(MemoryNeed(plain, threads: 2, slots: 1).tasks.map(\.kind)) == [.fit, .collect, .verify])
  }

  /// By hand: the block twice, and either three times a shard's states and a pass or, where a shard is short, the
  /// widest Gram and a half and two products with it.
  @Test func aVerificationHoldsABlockTwiceAndAShardOrAGram() throws {
    let passed = 3.0 * 5 * 32 * 48 + 5 * 32 * Self.smallWidths
    let long = try size(.verify, small(length: 32, shards: [5, 5, 4]))
    #expect(long == ByteSize(bytes: 4 * (2 * Self.smallWeights + passed)))
    let measured = 1.5 * Self.smallLastGram + 2 * Self.smallLastWeights
    let short = try size(.verify, small(length: 4, shards: [1, 1]))
    #expect(short == ByteSize(bytes: 4 * (2 * Self.smallWeights + measured)))
  }

  /// By hand: the activations of one sequence of 2048 tokens are more than a pass holds of shorter ones.
  @Test func aPassHoldsOneSequenceWhereThatIsMuch() throws {
    let (hidden, inner, length): (Double, Double, Double) = (4096, 11008, 2048)
    let weights: Double = 4 * hidden * hidden + 3 * hidden * inner
    let grams: Double = 3 * hidden * hidden + inner * inner
    let sequence: Double = length * (5 * hidden + 3 * inner)
    let states: Double = 16 * length * hidden
    let values: Double = weights + states + grams + 0.5 * inner * inner + sequence
    #expect(try size(.collect, job()) == ByteSize(bytes: 4 * values))
  }

  private func evaluation(window: Int) throws -> JobShape {
    JobShape(
      decoder: try Self.decoder(), length: window, shards: Array(repeating: 1, count: 32), purpose: .evaluation)
  }

  /// By hand: the head and one window's hidden states; the weights of a block, and the activations of the window besides.
  @Test func anEvaluationHoldsTheHeadOrABlockAndOneWindow() throws {
    let need = MemoryNeed(try evaluation(window: 2048), threads: 2, slots: 1)
    #expect(need.tasks.count == 2)
    let head = try #require(need.tasks.first { $0.name == "head over a window of 2048 tokens" })
    #expect(head.size == ByteSize(bytes: 4.0 * (32000 * 4096 + 2048 * 4096)))
    let block = try #require(need.tasks.first { $0.name == "block over a window of 2048 tokens" })
    let weights = 4.0 * 4096 * 4096 + 3 * 4096 * 11008
    let widths = 3.0 * 4096 + 2 * 4096 + 3 * 11008
    #expect(block.size == ByteSize(bytes: 4 * (weights + 2048 * 4096 + 2048 * widths)))
    #expect(need.largest.size == max(head.size, block.size))
    #expect(MemoryNeed(try evaluation(window: 512), threads: 2, slots: 1).total < need.total)
    let refused = try refusal {
      try LaunchPlan(local: local, machine: machine(cores: 8, gibibytes: 1), job: evaluation(window: 2048))
    }
    #expect(refused.contains("(block over a window of 2048 tokens)"), "\(refused)")
    #expect(refused.contains("it takes a machine with at least "), "\(refused)")
  }

  @Test func moreSlotsNeedMore() throws {
    let (one, two) = (MemoryNeed(try job(), threads: 2, slots: 1), MemoryNeed(try job(), threads: 2, slots: 2))
    #expect(two.total > one.total)
    #expect(two.total.bytes < 2 * one.total.bytes)
  }

  @Test func asManyWorkersAsCoresAndMemoryAllow() throws {
    let need = MemoryNeed(try job(), threads: 4, slots: 1).total.bytes >> 30 + 1
    let roomy = try LaunchPlan(local: local, machine: machine(cores: 8, gibibytes: 4 * need), job: job())
    #expect(roomy.places.map(\.workers) == [4])
    #expect(roomy.places.map(\.threads) == [2])
    let tight = try LaunchPlan(local: local, machine: machine(cores: 8, gibibytes: 2 * need), job: job())
    #expect(tight.places.map(\.workers) == [2])
    #expect(tight.places.map(\.threads) == [4])
    let single = try LaunchPlan(local: local, machine: machine(cores: 1, gibibytes: 4 * need), job: job())
    #expect(single.places.map(\.workers) == [1])
  }

  @Test(arguments: [1, 2]) func whatATuneKeepsIsThereOnceForAllSlots(slots: Int) throws {
    let needs = try [0, 1].map { MemoryNeed(try job(tuneEpochs: $0), threads: 2, slots: slots) }
    let streams = UInt64(2 * 256 * 2048 * 4096 * MemoryLayout<Float>.stride)
    #expect(needs[1].largest == needs[0].largest)
    #expect(needs[1].total.bytes - needs[0].total.bytes == streams)
  }

  private func refusal(_ body: () throws -> LaunchPlan) throws -> String {
    let error = #expect(throws: CoordinatorError.self) { _ = try body() }
    #expect(error?.exitCode == 64)
    return "\(try #require(error))"
  }

  @Test func aPlanThatCannotFitSaysWhatWould() throws {
    var asked = local
    asked.workers = 8
    let need = MemoryNeed(try job(), threads: 1, slots: 1).total.bytes >> 30 + 1
    let many = try refusal { try LaunchPlan(local: asked, machine: machine(cores: 8, gibibytes: 3 * need), job: job()) }
    #expect(many.hasPrefix("m: 8 workers need ") && many.hasSuffix("; 3 would fit"), "\(many)")

    let large = try refusal {
      try LaunchPlan(local: local, machine: machine(cores: 8, gibibytes: 10), job: job(shards: [256, 256]))
    }
    #expect(large.contains("--shards ") && large.hasSuffix(" would fit"), "\(large)")

    var slots = local
    slots.worker.slots = 4
    let wide = try refusal { try LaunchPlan(local: slots, machine: machine(cores: 4, gibibytes: 8), job: job()) }
    #expect(wide.hasSuffix("; one slot in place of 4 would fit"), "\(wide)")

    let small = try refusal { try LaunchPlan(local: local, machine: machine(cores: 8, gibibytes: 1), job: job()) }
    #expect(small.contains("it takes a machine with at least "), "\(small)")
  }

  @Test func adviceOnMemoryIsAboutTheTasksThatWereInHand() throws {
    let plan = try LaunchPlan(local: local, machine: machine(cores: 2, gibibytes: 64), job: job())
    let place = try #require(plan.places.first)
    let (fit, collect) = (place.memoryAdvice([.fit]), place.memoryAdvice([.collect]))
    #expect(fit.contains(" at most (fit of mlp.down_proj, 4096 × 11008)"), "\(fit)")
    #expect(collect.contains(" at most (collect of a shard of 16 sequences of 2048 tokens)"), "\(collect)")
    #expect(place.memoryAdvice([]).hasPrefix("it was estimated to need \(place.need.total) ("))
  }

  @Test func slurmIsAskedForWhatAWorkerNeeds() throws {
    var cluster = ClusterFile(engine: .slurm)
    cluster.worker.threads = 16
    cluster.slurm.nodes = 4
    cluster.workers = 2
    let plan = try LaunchPlan(slurm: cluster, job: job())
    let place = try #require(plan.places.first)
    #expect(plan.workers == 8)
    #expect(try #require(place.memory) > place.need.total)
    cluster.worker.memory = ByteSize("1G")
    let refused = try refusal { try LaunchPlan(slurm: cluster, job: job()) }
    #expect(refused.contains("1.0 GiB is available"), "\(refused)")
  }

  /// All tokens once through a block of the small decoder, by hand: two operations a weight, and two products of
  /// attention over half of the sequence each.
  private func pass(tokens: Double, length: Double) -> Double {
    2 * tokens * Self.smallWeights + 2 * (2 * tokens * (length / 2) * 64)
  }

  private func isClose(_ value: Double, _ expected: Double) -> Bool { abs(value / expected - 1) < 1e-9 }

  @Test func anEvaluationIsAPassThroughEachBlockAndTheHead() throws {
    let estimate = TimeEstimate(try small(length: 32, shards: [1, 1, 1], purpose: .evaluation))
    let tokens = 3.0 * 32
    let expected = 3 * pass(tokens: tokens, length: 32) + 2 * tokens * 100 * 48
    #expect(isClose(estimate.operations, expected))
    #expect(isClose(estimate.seconds(operationsPerSecond: 1e6), expected / 1e6))
    #expect(estimate.seconds(operationsPerSecond: 0) == estimate.operations)
  }

  /// By hand: a block is a pass with a Gram a site, and its fits: 25 products with H and 50 sweeps of 1024 operations a
  /// weight, all that twice.
  @Test func aJobIsAPassAndTheFitsOfEachBlock() throws {
    let tokens = 14.0 * 32
    let collect = pass(tokens: tokens, length: 32) + tokens * Self.smallGrams
    let products = Self.smallLinears.reduce(0.0) { $0 + $1.rows * $1.columns * $1.columns }
    let fits = 2 * (25 * 2 * products + 50 * 1024 * Self.smallWeights)
    let purpose = JobShape.Purpose.quantization(isRepaired: false, tuneEpochs: 0)
    let estimate = TimeEstimate(try small(length: 32, shards: [5, 5, 4], purpose: purpose))
    #expect(isClose(estimate.operations, 3 * (collect + fits)))
    let inOneShard = TimeEstimate(try small(length: 32, shards: [14], purpose: purpose))
    #expect(inOneShard.operations == estimate.operations)
  }

  /// By hand: both streams again, what the output lacks, and a Gram of what the last linear sees.
  @Test func repairingTakesTime() throws {
    let estimates = try [false, true].map { isRepaired in
      let purpose = JobShape.Purpose.quantization(isRepaired: isRepaired, tuneEpochs: 0)
      return TimeEstimate(try small(length: 32, shards: [5, 5, 4], purpose: purpose)).operations
    }
    let tokens = 14.0 * 32
    let repair = 2 * pass(tokens: tokens, length: 32) + tokens * (2 * Self.smallLastWeights + Self.smallLastGram)
    #expect(isClose(estimates[1] - estimates[0], 3 * repair))
  }

  /// By hand: an epoch is four passes and a half through all blocks and three through the head, and the original's are run once.
  @Test func distillingTakesTime() throws {
    let estimates = try [nil, 1, 3].map { TimeEstimate(try job(distillEpochs: $0)).operations }
    let (tokens, weights) = (256.0 * 2048, 4.0 * 4096 * 4096 + 3 * 4096 * 11008)
    let pass = 2 * tokens * weights + 2 * tokens * 2048 * 4096
    let epoch = 32 * 4.5 * pass + 3 * 2 * tokens * 32000 * 4096
    #expect(abs((estimates[1] - estimates[0]) / (32 * pass + epoch) - 1) < 1e-9)
    #expect(abs((estimates[2] - estimates[1]) / (2 * epoch) - 1) < 1e-9)
  }

  /// By hand: an epoch is three passes and a half over all tokens, and a tune takes two more.
  @Test func tuningTakesTime() throws {
    let estimates = try [0, 1, 3].map { TimeEstimate(try job(tuneEpochs: $0)).operations }
    let (tokens, weights) = (256.0 * 2048, 4.0 * 4096 * 4096 + 3 * 4096 * 11008)
    let pass = 2 * tokens * weights + 2 * tokens * 2048 * 4096
    #expect(abs((estimates[1] - estimates[0]) / (32 * 5.5 * pass) - 1) < 1e-9)
    #expect(abs((estimates[2] - estimates[1]) / (32 * 7 * pass) - 1) < 1e-9)
  }

  /// To the last bit.
  @Test func theMeanOfOnePlaceIsItsSpeed() throws {
    var cluster = local
    cluster.workers = 3
    let job = try small(length: 8, shards: [1, 1])
    let plan = try LaunchPlan(local: cluster, machine: machine(cores: 6, gibibytes: 64), job: job)
    let survey = SpeedSurvey(plan, cluster, nil, seconds: 0.01)
    #expect([survey.mean] == survey.speeds)
    #expect(survey.total == survey.mean * 6)
    #expect(DryRun(plan, job, survey).gigaflopsPerThread == survey.mean / 1e9)
  }

  @Test func availableMemoryIsRead() {
    let text = "MemTotal:  8 kB\nMemAvailable:   2048 kB\n"
    #expect(Machine.availableMemory(meminfo: text) == ByteSize("2M"))
    #expect(Machine.availableMemory(meminfo: "MemTotal: 8 kB") == nil)
  }
}
