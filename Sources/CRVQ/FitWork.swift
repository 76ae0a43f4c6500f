/// What a fit's steps have to do at least, by which their times can be compared with what a machine can do: floating-point
/// operations of products with H and of searches, and bytes that must come from and go to memory if only scratch memory and
/// codebooks stay in caches.
public struct FitWork: Sendable, Equatable {
  private let rows: Double
  private let columns: Double
  private let codewords: Double
  private let rounds: Double
  private let visits: Double
  private let sweeps: Double
  private let codebookProducts: Double

  init(_ shape: FitShape, _ options: FitOptions, rounds: Int) {
    let schedule = CoolingSchedule(options, columns: shape.columns)
    rows = Double(shape.rows)
    columns = Double(shape.columns)
    codewords = Double(1 << shape.format.codebookBits[0])
    self.rounds = Double(rounds)
    visits = Double(schedule.visits)
    sweeps = Double(schedule.sweeps)
    codebookProducts = (1...rounds).reduce(0) { sum, round in
      let steps = schedule.codebookSteps(round: round)
      return sum + (steps == 1 ? CodebookRefit.sampledShare(rows: shape.rows) : Double(steps))
    }
  }

  /// One product with H.
  private var product: Double { 2 * rows * columns * columns }
  /// One search for all groups: d multiplications and additions a codeword.
  private var search: Double { 2 * rows * columns * codewords }

  /// Operations of a step; 0 where they are not what it is about.
  public func operations(of step: FitStep) -> Double {
    switch step {
    case .preparation: product
    case .feedback: columns * columns * columns / 3 + product / 2 + search
    case .descent: rounds * (visits * product + sweeps * search)
    case .scales: rounds * product
    case .codebooks: codebookProducts * product
    case .packing: 2 * product
    case .importance, .start: 0
    }
  }

  /// Bytes of a step: H once, W and what is as large as W once for each pass over them.
  public func bytes(of step: FitStep) -> Double {
    let (h, w) = (4 * columns * columns, 4 * rows * columns)
    return switch step {
    case .preparation: 2 * (2 * h + 2 * w) + h + 2 * w
    case .importance: 2 * w
    case .feedback: 4 * h + w
    case .descent: rounds * visits * (h + w)
    case .scales: rounds * (h + 2 * w)
    case .codebooks: rounds * h
    case .packing: 2 * (h + 2 * w)
    case .start: 0
    }
  }
}
