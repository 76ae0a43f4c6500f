import Coordinator
import Foundation
import Testing

/// What the dashboard answers before there is a job to show, and to what it does not know.
@Suite struct DashboardTests {
  private struct Unreachable: Error {}

  /// What comes for one request on a connection of its own.
  private func answer(_ method: String, _ path: String, port: Int) throws -> String {
    let connection = FileHandle(
      fileDescriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0), closeOnDealloc: true)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let isConnected = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        connect(connection.fileDescriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else { throw Unreachable() }
    let request = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try connection.write(contentsOf: Data(request.utf8))
    return String(decoding: try connection.readToEnd() ?? Data(), as: UTF8.self)
  }

  @Test func beforeThereIsAJobItSaysSo() async throws {
    let dashboard = try await Dashboard.start(at: try #require(DashboardAddress("0")))
    let port = dashboard.address.port
    #expect(port != 0)
    let (none, noJob) = ("503 Service Unavailable", "there is no job yet\n")
    for (method, path, status, body) in [
      ("GET", "/metrics", none, noJob), ("GET", "/status.json", none, noJob), ("GET", "/healthz", none, noJob),
      ("GET", "/healthz?verbose", none, noJob), ("HEAD", "/healthz", none, ""),
      ("GET", "/health", "404 Not Found", "no such page\n"),
      ("POST", "/healthz", "405 Method Not Allowed", "to be read only\n"),
      ("GET", "/", "200 OK", nil),
    ] as [(String, String, String, String?)] {
      let answer = try answer(method, path, port: port)
      #expect(answer.hasPrefix("HTTP/1.1 \(status)\r\n"), "\(method) \(path): \(answer)")
      if let body { #expect(answer.hasSuffix("\r\n\r\n\(body)"), "\(method) \(path): \(answer)") }
      #expect(answer.contains("allow: GET, HEAD") == (method == "POST"), "\(method) \(path): \(answer)")
    }
    withExtendedLifetime(dashboard) {}
  }
}
