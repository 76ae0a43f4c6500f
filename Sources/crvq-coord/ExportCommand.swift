import ArgumentParser
import Coordinator
import Program
import Synchronization
import UnixSignals

/// Decodes a packed model.
struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Decode a packed model to a plain float16 Hugging Face directory.")

  @Option(help: "The packed model's directory.", transform: givenPath)
  var quantized: String

  @Option(help: "Where the decoded model goes; must not exist.", transform: givenPath)
  var output: String

  func run() async throws {
    let export = ModelExport(quantized: quantized, output: absolute(output))
    let order = StopOrder()
    try await runBlocking(thread: "export", stop: { order.give($0) }) {
      try export.run(checkStop: order.check) { report($0) }
    }
    try StandardOutput.print("exported to \(output)")
  }

  /// Whether the user, or the system, has asked the command to end.
  private final class StopOrder: Sendable {
    private let signal = Mutex<UnixSignal?>(nil)

    func give(_ signal: UnixSignal) { self.signal.withLock { $0 = signal } }

    /// - Throws: ``CoordinatorError`` `.tryAgain` if it has.
    func check() throws {
      if let signal = signal.withLock({ $0 }) { throw CoordinatorError.tryAgain("stopped by \(signal)") }
    }
  }
}
