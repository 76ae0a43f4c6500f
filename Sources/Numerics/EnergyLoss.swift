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

  /// Of all pieces so far, as ``share(_:of:)`` has it.
  public var share: Double { Self.share(lost, of: whole) }

  /// Lost energy as a share of the whole: 0 where none is lost, infinite where some is lost of none, and not a number where one
  /// of the two is none. Rounding may leave either just below zero where a metric is singular.
  public static func share(_ lost: Double, of whole: Double) -> Double {
    if lost.isNaN || whole.isNaN { return .nan }
    if lost <= 0 { return 0 }
    return whole <= 0 ? .infinity : lost / whole
  }
}
