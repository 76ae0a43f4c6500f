/// The share of a vector's energy that an approximation loses, ‖y - ŷ‖² / ‖y‖², over pieces that are added in order.
public struct EnergyLoss: Sendable {
  private var lost = 0.0
  private var whole = 0.0

  public init() {}

  /// Adds a piece of the vector and of its approximation, of one length.
  public mutating func add(_ values: [Float], _ approximation: [Float]) {
    for (value, other) in zip(values, approximation) {
      let difference = Double(value) - Double(other)
      lost += difference * difference
      whole += Double(value) * Double(value)
    }
  }

  /// 0 where there is no energy, not a number where a value is none.
  public var share: Double { whole == 0 ? 0 : lost / whole }
}
