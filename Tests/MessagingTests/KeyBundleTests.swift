import Foundation
import Messaging
import TestSupport
import Testing

@Suite struct KeyBundleTests {
  private func read(_ text: String) throws -> (bundle: KeyBundle, rest: String) {
    let pipe = Pipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    try pipe.fileHandleForWriting.close()
    let bundle = try KeyBundle(reading: pipe.fileHandleForReading.fileDescriptor, name: "standard input")
    return (bundle, String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
  }

  @Test func whatIsWrittenIsReadAndNoMore() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/keys"
    try KeyDirectory.create(at: path)
    try KeyDirectory(path).addWorker(named: "node-7")
    for name in ["node-7", "another"] {
      let bundle = try KeyDirectory(path).bundle(forWorker: name)
      let (read, rest) = try read(bundle.text + "and more")
      #expect(read == bundle)
      #expect(read.credentials == (try KeyDirectory(path).credentials(of: .worker(name: name))))
      #expect(rest == "and more")
    }
  }

  @Test func whatIsNoBundleIsRefused() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/keys"
    try KeyDirectory.create(at: path)
    let lines = try KeyDirectory(path).bundle(forWorker: "w").text.split(separator: "\n").map(String.init)
    let (secret, coordinator, worker) = (lines[0], lines[1], lines[2])
    for (text, reason) in [
      ("", "no secret key"), ("hello\n\n", "not keys"), ("\(coordinator)\n\(worker)\n\n", "no secret key"),
      ("\(secret)\n\(worker)\n\n", "the coordinator's public key is missing"),
      ("\(secret)\n\(coordinator)\n\n", "the secret key is not that of worker"),
      ("\(secret)\n\(secret)\n\(coordinator)\n\(worker)\n\n", "not keys, expected one"),
      ("\(secret)\n\(coordinator)\n\(worker)\n\(worker)\n\n", "is there twice"),
      ("\(secret.dropLast())\n\(coordinator)\n\(worker)\n\n", "not keys"),
    ] {
      let error = #expect(throws: KeyError.self) { try read(text) }
      #expect(error?.kind == .unusable)
      #expect(error?.reason.contains(reason) == true, "\(text) \(String(describing: error))")
      // A message may be logged.
      #expect(error.map { !"\($0)".contains(secret.suffix(40)) } == true)
    }
  }
}
