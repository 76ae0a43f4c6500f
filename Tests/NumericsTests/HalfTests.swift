import Numerics
import Testing

@Suite struct HalfTests {
  @Test func wideningIsExactForEveryBitPattern() {
    let all = (0...UInt16.max).map { $0 }
    let widened = Half.widen(all)
    #expect(widened.count == all.count)
    for (bits, value) in zip(all, widened) {
      let expected = Float(Float16(bitPattern: bits))
      #expect(value == expected || (value.isNaN && expected.isNaN), "0x\(String(bits, radix: 16))")
    }
  }

  @Test func narrowingRoundsToNearestEven() {
    var values: [Float] = [0, -0, 1, 65504, 65519.99, 65520, -65520, .infinity, 0x1p-24, 0x1p-25, 0x1.8p-25, 1e-30]
    // Every half, the midpoints between neighbours, and the floats on both sides of each midpoint.
    for bits in 0..<UInt16(0x7bff) {
      let middle = (Float(Float16(bitPattern: bits)) + Float(Float16(bitPattern: bits + 1))) / 2
      values += [middle, middle.nextUp, middle.nextDown, -middle]
    }
    let narrowed = Half.narrow(values)
    #expect(narrowed.count == values.count)
    for (value, bits) in zip(values, narrowed) {
      #expect(bits == Float16(value).bitPattern, "\(value)")
    }
    #expect(Float16(bitPattern: Half.narrow([.nan])[0]).isNaN)
  }
}
