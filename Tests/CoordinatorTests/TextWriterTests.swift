import Coordinator
import Foundation
import Testing

@Suite struct TextWriterTests {
  private let pipe = Pipe()

  private var descriptor: Int32 { pipe.fileHandleForWriting.fileDescriptor }

  /// Writes into the pipe until it takes nothing more.
  ///
  /// - Returns: how many bytes it took.
  private func fill() -> Int {
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
    defer { _ = fcntl(descriptor, F_SETFL, flags) }
    let bytes = [UInt8](repeating: UInt8(ascii: "."), count: 4096)
    var filled = 0
    while true {
      let count = write(descriptor, bytes, bytes.count)
      if count <= 0 { return filled }
      filled += count
    }
  }

  private func read(_ count: Int) throws -> String {
    var data = Data()
    while data.count < count,
      let more = try pipe.fileHandleForReading.read(upToCount: count - data.count), !more.isEmpty
    {
      data.append(more)
    }
    return String(decoding: data, as: UTF8.self)
  }

  @Test func linesArriveInOrder() throws {
    let writer = TextWriter(to: descriptor)
    let lines = (0..<100).map { "line \($0)\n" }
    for line in lines { #expect(writer.offer(line)) }
    writer.write("end\n")
    writer.flush()
    let expected = lines.joined() + "end\n"
    #expect(try read(expected.utf8.count) == expected)
  }

  @Test func aReaderWhoDoesNotReadHoldsUpNobody() throws {
    let filled = fill()
    let writer = TextWriter(to: descriptor, waitingMax: 10)
    #expect(writer.offer("one\n"))
    #expect(writer.offer("number two\n"))
    // As a whole or not at all, and what must not be lost all the same.
    #expect(!writer.offer("three\n"))
    writer.write("end\n")
    writer.flush(within: .milliseconds(50))
    // It has not read anything since.
    let start = ContinuousClock.now
    writer.flush(within: .seconds(100))
    #expect(ContinuousClock.now - start < .seconds(50))
    let expected = "one\nnumber two\nend\n"
    let text = try read(filled + expected.utf8.count)
    #expect(text.dropFirst(filled) == expected)
  }

  @Test func whatCannotBeWrittenIsLetGo() {
    let full = open("/dev/full", O_WRONLY)
    defer { close(full) }
    let writer = TextWriter(to: full, waitingMax: 0)
    writer.write("lost\n")
    writer.flush(within: .seconds(30))
    #expect(writer.offer("lost too\n"))
    writer.flush()
  }
}
