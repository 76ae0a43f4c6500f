import Foundation
import Messaging
import Testing

@Suite struct ConnectionClockTests {
  /// libzmq 4.3 aborts the process where a ping is due on a connection that has ended while its receive queue was full.
  @Test func aConnectionThatEndsWhileItsQueueIsFullHarmsNobody() throws {
    let context = try ZMQContext()
    var limits = SocketLimits.control
    (limits.receiveQueue, limits.sendQueue) = (4, 100_000)
    let router = try ZMQSocket(.router, context: context, limits: limits)
    let endpoint = try router.bind("tcp://127.0.0.1:*")
    let total = 40
    do {
      limits.lingerMilliseconds = 2000
      let peer = try ZMQSocket(.dealer, context: context, limits: limits)
      try peer.connect(endpoint)
      #expect(try peer.send([Array("hello".utf8)]) == .sent)
      let id = try awaitMessage(router)[0].bytes
      // More than it reads: what waits in its kernel makes the end of the connection a reset, which needs no reading to be seen.
      for _ in 0..<400 { _ = try router.send([id, Array(repeating: 0, count: 100_000)]) }
      for _ in 0..<total { #expect(try peer.send([Array("more".utf8)]) == .sent) }
      Thread.sleep(forTimeInterval: 0.5)
    }
    // Longer than the five seconds that were the period of pings.
    Thread.sleep(forTimeInterval: 6.5)
    // And the socket serves on.
    let other = try ZMQSocket(.dealer, context: context, limits: limits)
    try other.connect(endpoint)
    #expect(try other.send([Array("other".utf8)]) == .sent)
    var last = try awaitMessage(router)
    while last[1].bytes != Array("other".utf8) { last = try awaitMessage(router) }
  }

  private func awaitMessage(_ socket: ZMQSocket) throws -> [MessageFrame] {
    for _ in 0..<2000 {
      if case .message(let frames)? = try socket.receive() { return frames }
      Thread.sleep(forTimeInterval: 0.005)
    }
    throw Missing()
  }
}
