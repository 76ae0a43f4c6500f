import Numerics

/// How a linear is fitted. The defaults are the published configuration of about one bit a weight.
public struct FitOptions: Sendable, Codable, Equatable {
  /// How the critical channels are chosen (rules 1 to 3 of the paper).
  public enum Importance: String, Sendable, Codable, CaseIterable {
    /// Mean over rows of (W-Ŵ)² · diag(H), with Ŵ a plain vector quantization of W.
    case activation
    /// Mean over rows of |W|.
    case weight
    /// A seeded random choice.
    case random
  }

  /// What the rounds go through. The same in every job, so that it is neither stored with one nor sent to workers.
  public struct Schedule: Sendable, Equatable {
    /// Rounds after the first that choose codes at a temperature, which falls to 0.
    public var annealingRounds: Int
    /// The temperature where that starts, in units of the mean error a weight after the first round.
    public var temperature: Double
    /// Sweeps over all codes in one round, but for those of critical groups, which have one each visit.
    public var sweeps: Int
    /// Added to the diagonal of H while the first codes are chosen with error feedback, as a share of its mean.
    public var damping: Double
    /// Conjugate gradient steps for the codebooks in one round.
    public var codebookSteps: Int

    public init(
      annealingRounds: Int = 8, temperature: Double = 0.9, sweeps: Int = 5, damping: Double = 0.001,
      codebookSteps: Int = 1
    ) {
      self.annealingRounds = annealingRounds
      self.temperature = temperature
      self.sweeps = sweeps
      self.damping = damping
      self.codebookSteps = codebookSteps
    }
  }

  /// Group size, codebooks and critical ratio: all that the packed form depends on.
  public var format: PackedFormat
  public var importance: Importance
  /// The fit ends when a round lowers the relative error by less than this share of it.
  public var tolerance: Double
  /// The fit ends after this many rounds at the latest.
  public var maximumRounds: Int
  /// Hypotheses a row that are kept while the codewords of a critical group are chosen, one codebook after another.
  public var beamWidth: Int
  /// Seed of every random choice; see ``fit(weight:gram:options:streamKey:team:progress:)``.
  public var seed: UInt64
  public var schedule = Schedule()

  private enum CodingKeys: CodingKey {
    case format, importance, tolerance, maximumRounds, beamWidth, seed
  }

  /// The largest number of rounds that can be asked for.
  public static let roundLimit = 1000
  /// The widest beam that can be asked for.
  public static let beamLimit = Beam.maximumWidth

  /// Options outside their ranges are found by ``validate()``.
  public init(
    groupSize: Int = 8, codebookBits: [Int] = [8, 8, 8, 8], criticalRatio: Double = 0.02,
    importance: Importance = .activation, tolerance: Double = 0.01, maximumRounds: Int = 12, beamWidth: Int = 8,
    seed: UInt64 = 0, schedule: Schedule = Schedule()
  ) {
    format = PackedFormat(groupSize: groupSize, codebookBits: codebookBits, criticalRatio: criticalRatio)
    self.importance = importance
    self.tolerance = tolerance
    self.maximumRounds = maximumRounds
    self.beamWidth = beamWidth
    self.seed = seed
    self.schedule = schedule
  }

  /// - Throws: ``CRVQError`` (`option`) naming the first value outside its range.
  public func validate() throws {
    try format.validate()
    func require(_ condition: Bool, _ message: String) throws {
      if !condition { throw CRVQError(.option, message) }
    }
    try require(tolerance >= 0 && tolerance < 1, "tolerance is \(tolerance); expected 0 to less than 1")
    let limit = Self.roundLimit
    try require((1...limit).contains(maximumRounds), "maximum rounds are \(maximumRounds); expected 1 to \(limit)")
    try require(
      (1...Self.beamLimit).contains(beamWidth), "beam width is \(beamWidth); expected 1 to \(Self.beamLimit)")
    let (annealing, temperature, sweeps) = (schedule.annealingRounds, schedule.temperature, schedule.sweeps)
    try require((0...limit).contains(annealing), "annealing rounds are \(annealing); expected 0 to \(limit)")
    try require(temperature >= 0 && temperature <= 100, "temperature is \(temperature); expected 0 to 100")
    try require((1...1000).contains(sweeps), "sweeps are \(sweeps); expected 1 to 1000")
    let (damping, steps) = (schedule.damping, schedule.codebookSteps)
    // It grows tenfold as often as it has to, in single precision.
    try require(damping >= 1e-30 && damping <= 10, "damping is \(damping); expected 1e-30 to 10")
    try require((0...1000).contains(steps), "codebook steps are \(steps); expected 0 to 1000")
  }
}
