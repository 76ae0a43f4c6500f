/// What a job consists of: everything the scheduler needs to know about the model and the tokens.
public struct JobPlan: Sendable, Equatable {
  /// Which activations a block sees while it is being fitted.
  public enum Propagation: String, Codable, Sendable, CaseIterable {
    /// The original model's: blocks do not wait for one another's fits.
    case teacher
    /// Those of the quantized blocks before it: a block waits until the one before it is packed.
    case student
  }

  /// One linear of a block. All blocks have the same linears.
  public struct Linear: Sendable, Equatable {
    /// The name within the block, as in the checkpoint: "self_attn.q_proj".
    public let name: String
    /// The site whose Gram the fit needs: "attn_in".
    public let site: String
    public let outFeatures: Int
    public let inFeatures: Int

    public init(name: String, site: String, outFeatures: Int, inFeatures: Int) {
      self.name = name
      self.site = site
      self.outFeatures = outFeatures
      self.inFeatures = inFeatures
    }

    /// The cost of a fit grows as one product W·H does: out · in².
    var cost: Double { Double(outFeatures) * Double(inFeatures) * Double(inFeatures) }
  }

  /// A fixed slice of the calibration sequences, or one window of a test text.
  public struct Shard: Sendable, Equatable {
    public let firstSequence: Int
    public let sequenceCount: Int
    /// Held-out shards are never seen by a fit; a verification measures on them, a tune or a distillation chooses its best epoch.
    public let isHeldOut: Bool

    public init(firstSequence: Int, sequenceCount: Int, isHeldOut: Bool) {
      self.firstSequence = firstSequence
      self.sequenceCount = sequenceCount
      self.isHeldOut = isHeldOut
    }
  }

  public let blockCount: Int
  public let linears: [Linear]
  public let shards: [Shard]
  public let propagation: Propagation
  /// Whether each merged block is tuned before it is packed for good.
  public let isTuned: Bool
  /// The site of the linears that are fitted last, to repair what the packed linears in front of them have lost in the block's
  /// output; nil if all linears of a block are fitted side by side.
  public let repairSite: String?
  /// How the packed blocks are tuned all together, once they are all made; nil if they are not.
  public let distillation: Distillation?

  // Made once, because every plan of who does what next asks for them.
  let fitShards: [Int]
  let heldOutShards: [Int]
  private let fitsByBlock: [[TaskID]]
  private let firstFitsByBlock: [[TaskID]]
  private let repairingFitsByBlock: [[TaskID]]

  public init(
    blockCount: Int, linears: [Linear], shards: [Shard], propagation: Propagation, isTuned: Bool = false,
    repairSite: String? = nil, distillation: Distillation? = nil
  ) {
    self.blockCount = blockCount
    self.linears = linears
    self.shards = shards
    self.propagation = propagation
    self.isTuned = isTuned
    self.repairSite = repairSite
    self.distillation = distillation
    fitShards = shards.indices.filter { !shards[$0].isHeldOut }
    heldOutShards = shards.indices.filter { shards[$0].isHeldOut }
    func fits(where isIncluded: (Linear) -> Bool) -> [[TaskID]] {
      let included = linears.indices.filter { isIncluded(linears[$0]) }
      return (0..<blockCount).map { block in included.map { TaskID.fit(block: block, linear: $0) } }
    }
    fitsByBlock = fits { _ in true }
    firstFitsByBlock = fits { $0.site != repairSite }
    repairingFitsByBlock = fits { $0.site == repairSite }
  }

  /// The sites of a block in the order of their first linear.
  public var sites: [String] {
    linears.reduce(into: []) { sites, linear in
      if !sites.contains(linear.site) { sites.append(linear.site) }
    }
  }

  func fits(ofBlock block: Int) -> [TaskID] { fitsByBlock[block] }

  func repairs(_ linear: Int) -> Bool { linears[linear].site == repairSite }

  /// The fits that need nothing but collects.
  func firstFits(ofBlock block: Int) -> [TaskID] { firstFitsByBlock[block] }

  /// The fits that wait for the first ones.
  func repairingFits(ofBlock block: Int) -> [TaskID] { repairingFitsByBlock[block] }

  /// Whether a collect of a shard keeps the Gram of a site: not that of the repairing linears where only a recollect can
  /// tell what they will see.
  public func collects(_ site: String, ofShard shard: Int) -> Bool { site != repairSite || !recollects(shard) }

  /// What makes the Gram that a fit needs for a shard.
  func gramSource(block: Int, linear: Int, shard: Int) -> TaskID {
    let isCollected = collects(linears[linear].site, ofShard: shard)
    return isCollected ? .collect(block: block, shard: shard) : .recollect(block: block, shard: shard)
  }
}

extension JobPlan {
  /// The plan of a job that makes a packed model. Coordinator and workers make it of the same numbers, so a task of the one
  /// is in range for the others.
  ///
  /// - Parameters:
  ///   - length: positions a sequence.
  ///   - distillEpochs: 0 for no distillation; there is none either where no sequence is held out to judge by.
  public init(
    blockCount: Int, linears: [Linear], shards: [Shard], length: Int, propagation: Propagation, isTuned: Bool,
    repairSite: String?, distillEpochs: Int
  ) {
    let batches = distillEpochs > 0 ? MicroBatches(shards, length: length) : nil
    self.init(
      blockCount: blockCount, linears: linears, shards: shards, propagation: propagation, isTuned: isTuned,
      repairSite: repairSite, distillation: batches.map { Distillation(epochs: distillEpochs, $0) })
  }
}

extension JobPlan {
  /// Slices sequences `0..<sequences` into at most `count` shards, the last `heldOut` sequences into shards of their own.
  ///
  /// Sizes differ by at most one among the shards of a kind, and shards are shared out in proportion: 64 sequences with
  /// 8 held out in 16 shards are 14 shards and 2, each of 4 sequences.
  public static func slice(sequences: Int, heldOut: Int, count: Int) -> [Shard] {
    precondition(heldOut >= 0 && heldOut < sequences && count >= 1, "sizes are validated with the options")
    let total = min(count, sequences)
    let seen = sequences - heldOut
    var heldOutShards = heldOut == 0 ? 0 : max(1, min(heldOut, (total * heldOut + sequences / 2) / sequences))
    let seenShards = max(1, min(seen, total - heldOutShards))
    heldOutShards = heldOut == 0 ? 0 : max(1, min(heldOutShards, total - seenShards))
    return split(0..<seen, into: seenShards, isHeldOut: false)
      + split(seen..<sequences, into: heldOutShards, isHeldOut: true)
  }

  /// Whether shards are as ``slice(sequences:heldOut:count:)`` makes them of the first sequences: one behind the other, none
  /// empty, those held out last. They may come from anywhere.
  public static func areSlices(_ shards: [Shard], of available: Int) -> Bool {
    var (end, isHeldOut) = (0, false)
    for shard in shards {
      guard shard.firstSequence == end, shard.sequenceCount > 0, shard.sequenceCount <= available - end,
        shard.isHeldOut || !isHeldOut
      else { return false }
      end += shard.sequenceCount
      isHeldOut = shard.isHeldOut
    }
    return end > 0
  }

  private static func split(_ range: Range<Int>, into parts: Int, isHeldOut: Bool) -> [Shard] {
    (0..<parts).map { part in
      let start = range.lowerBound + range.count * part / parts
      let end = range.lowerBound + range.count * (part + 1) / parts
      return Shard(firstSequence: start, sequenceCount: end - start, isHeldOut: isHeldOut)
    }
  }
}
