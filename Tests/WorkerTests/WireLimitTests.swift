import CRVQ
import Messaging
import Testing

@Suite struct WireLimitTests {
  @Test func aJobOfAsManyCodebooksAsThereCanBeIsWelcomed() {
    #expect(WireLimit.codebooks == PackedFormat.maximumCodebooks)
  }
}
