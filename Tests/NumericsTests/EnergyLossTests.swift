import Numerics
import Testing

@Suite struct EnergyLossTests {
  @Test func piecesAddUp() {
    var loss = EnergyLoss()
    loss.add([3, 4], [3, 3])
    loss.add([0, 5], [2, 5])
    #expect(loss.share == 5.0 / 50.0)
  }

  @Test func noEnergyIsNoLossUnlessSomethingTookItsPlace() {
    var loss = EnergyLoss()
    #expect(loss.share == 0)
    loss.add([0, 0], [0, 0])
    #expect(loss.share == 0)
    loss.add([0], [1])
    #expect(loss.share == .infinity)
  }

  @Test func roundingBelowZeroIsNoLoss() {
    #expect(EnergyLoss.share(-1e-9, of: 1) == 0)
    #expect(EnergyLoss.share(-1e-9, of: -1e-9) == 0)
    #expect(EnergyLoss.share(1, of: -1e-9) == .infinity)
  }

  @Test func whatIsNoNumberStaysNone() {
    var loss = EnergyLoss()
    loss.add([1, .nan], [1, 1])
    #expect(loss.share.isNaN)
    #expect(EnergyLoss.share(.nan, of: 1).isNaN)
    #expect(EnergyLoss.share(1, of: .nan).isNaN)
    #expect(EnergyLoss.share(0, of: .nan).isNaN)
    #expect(EnergyLoss.share(.nan, of: 0).isNaN)
  }
}
