import Coordinator
import Testing

@Suite struct DashboardAddressTests {
  @Test(arguments: [
    ("9111", "127.0.0.1:9111", true), (":9111", "127.0.0.1:9111", true), ("localhost:0", "localhost:0", true),
    ("127.1.2.3:80", "127.1.2.3:80", true), ("[::1]:80", "[::1]:80", true), ("0.0.0.0:80", "0.0.0.0:80", false),
    ("[::]:80", "[::]:80", false), ("head:65535", "head:65535", false),
    ("127.example.org:80", "127.example.org:80", false),
  ])
  func whatItSays(text: String, address: String, isLoopback: Bool) throws {
    let parsed = try #require(DashboardAddress(text))
    #expect(parsed.description == address)
    #expect(parsed.isLoopback == isLoopback)
  }

  @Test(arguments: [
    "", "head", "head:", "head:65536", "head:-1", "::1:80", "http://head:80", "head:80:90", "head:*", "he/ad:80",
  ])
  func whatIsNone(text: String) { #expect(DashboardAddress(text) == nil) }
}
