/// Wall time of a fit in seconds, by step.
public struct FitSteps: Sendable, Equatable {
  private var seconds = Dictionary(uniqueKeysWithValues: FitStep.allCases.map { ($0, 0.0) })

  /// Zero for every step.
  public init() {}

  public subscript(step: FitStep) -> Double {
    get { seconds[step] ?? 0 }
    set { seconds[step] = newValue }
  }

  /// Runs `body` and adds its time to `step`.
  mutating func measure<Value>(_ step: FitStep, _ body: () throws -> Value) rethrows -> Value {
    let clock = ContinuousClock()
    let start = clock.now
    defer { self[step] += (clock.now - start) / .seconds(1) }
    return try body()
  }
}

/// An object with a number for each step.
extension FitSteps: Codable {
  public init(from decoder: any Decoder) throws {
    self.init()
    let container = try decoder.container(keyedBy: FitStep.self)
    for step in FitStep.allCases { self[step] = try container.decode(Double.self, forKey: step) }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: FitStep.self)
    for step in FitStep.allCases { try container.encode(self[step], forKey: step) }
  }
}
