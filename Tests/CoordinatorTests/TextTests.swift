import Coordinator
import Testing

@Suite struct TextTests {
  @Test func timesReadNaturally() {
    #expect(4.2.asTime == "4 s")
    #expect(185.0.asTime == "3 min 05 s")
    #expect(7640.0.asTime == "2 h 07 min")
    #expect(Double.infinity.asTime == "unknown" && (-1e300).asTime == "unknown")
  }

  @Test func oneIsNotMany() {
    #expect([0, 1, 2].map { $0.counted("worker") } == ["0 workers", "1 worker", "2 workers"])
  }

  @Test func decimalsAreFixed() { #expect(1.0.fixed(3) == "1.000") }
}
