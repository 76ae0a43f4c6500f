import Foundation
import Messaging
import PlainTransfer

/// Bytes a second of an artifact from one store to another over loopback, checked and written, beside those of libzmq with
/// nothing around it: with keys and without. Fails if the transfer with keys is below its share of libzmq with CURVE.
@main struct TransferBenchmark {
  /// Of plain libzmq with the same chunks and CURVE likewise on.
  static let shareWithKeys = 0.70

  var megabytes = 512
  var rounds = 5
  var policy = ArtifactClient.Policy()
  var directory = NSTemporaryDirectory() + "/crvq-transfer-\(ProcessInfo.processInfo.processIdentifier)"

  static func main() {
    do {
      var run = TransferBenchmark()
      run.readArguments()
      let isPassed = try run.run()
      exit(isPassed ? 0 : 1)
    } catch {
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      exit(70)
    }
  }

  private mutating func readArguments() {
    var arguments = CommandLine.arguments.dropFirst().makeIterator()
    func value<Value: LosslessStringConvertible>() -> Value {
      guard let text = arguments.next(), let value = Value(text) else { Self.fail() }
      return value
    }
    while let argument = arguments.next() {
      switch argument {
      case "--megabytes": megabytes = value()
      case "--rounds": rounds = value()
      case "--chunk": policy.chunkLength = value()
      case "--credit": policy.credit = value()
      case "--directory": directory = value() + "/crvq-transfer"
      default: Self.fail()
      }
    }
  }

  private static func fail() -> Never {
    let usage = "usage: TransferBenchmark [--megabytes N] [--rounds N] [--chunk BYTES] [--credit N] [--directory DIR]\n"
    FileHandle.standardError.write(Data(usage.utf8))
    exit(64)
  }

  private struct Failure: Error, CustomStringConvertible { let description: String }

  /// Seconds of each round.
  private struct Times {
    var plain: [Double] = []
    var transfer: [Double] = []
  }

  /// - Returns: whether the threshold was reached.
  private func run() throws -> Bool {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try KeyDirectory.create(at: makeDirectory() + "/keys")
    let keys = SocketSecurity.curve(try KeyDirectory(directory + "/keys").credentials(of: .worker(name: "")))
    let source = try ArtifactStore(directory: directory + "/source", durability: .cache)
    let artifact = try source.put(randomBytes())
    var (without, with) = (Times(), Times())
    // One after the other in every round, so that what else the machine does concerns all alike.
    for _ in 0..<rounds {
      without.plain.append(try plain(curve: false))
      without.transfer.append(try transfer(artifact, source, .plain))
      with.plain.append(try plain(curve: true))
      with.transfer.append(try transfer(artifact, source, keys))
    }
    print("\(megabytes) MiB in chunks of \(policy.chunkLength) bytes, medians of \(rounds) rounds, MB/s")
    print("              libzmq  artifact  share")
    show("without keys", without)
    let share = show("with keys", with)
    print("keys cost \(percent(1 - median(without.transfer) / median(with.transfer))) of the artifact's speed")
    let isPassed = share >= Self.shareWithKeys
    print("\(isPassed ? "ok  " : "FAIL") with keys \(percent(share)), expected at least \(percent(Self.shareWithKeys))")
    return isPassed
  }

  private func makeDirectory() throws -> String {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    return directory
  }

  /// Bytes that no two runs have in common, so that nothing is in a store already.
  private func randomBytes() -> Data {
    var data = Data(count: megabytes << 20)
    data.withUnsafeMutableBytes { bytes in
      var word = UInt64.random(in: .min ... .max)
      for index in stride(from: 0, to: bytes.count, by: 8) {
        word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
      }
    }
    return data
  }

  private func plain(curve: Bool) throws -> Double {
    let seconds = plain_transfer(policy.chunkLength, (megabytes << 20) / policy.chunkLength, curve)
    if seconds <= 0 { throw Failure(description: "libzmq's own transfer failed") }
    return seconds
  }

  /// From the first request to the artifact under its name in another store.
  private func transfer(_ artifact: Artifact, _ source: ArtifactStore, _ security: SocketSecurity) throws -> Double {
    let server = try ArtifactServer(
      binding: "tcp://127.0.0.1:*", serving: source, context: ZMQContext(), security: security)
    let client = try ArtifactClient(context: ZMQContext(), security: security, policy: policy)
    defer {
      client.close()
      server.close()
    }
    let target = try ArtifactStore(directory: directory + "/target", durability: .cache)
    let holder = ArtifactHolder(server.endpoint, key: security.publicKey)
    let start = ContinuousClock.now
    try client.fetch(artifact, from: [holder], into: target)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    try target.remove(artifact.digest)
    return seconds
  }

  // MARK: Printing

  private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  private func percent(_ value: Double) -> String { String(format: "%.0f %%", 100 * value) }

  @discardableResult
  private func show(_ name: String, _ times: Times) -> Double {
    let megabytes = Double(megabytes << 20) / 1e6
    let (plain, transfer) = (median(times.plain), median(times.transfer))
    let padded = name.padding(toLength: 12, withPad: " ", startingAt: 0)
    print(padded + String(format: "%8.0f  %8.0f  %5.2f", megabytes / plain, megabytes / transfer, plain / transfer))
    return plain / transfer
  }
}
