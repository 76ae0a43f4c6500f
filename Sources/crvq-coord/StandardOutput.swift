import Coordinator
import Foundation

/// Where results go. One that does not arrive whole is an error: whoever reads it is not to take a part for all.
enum StandardOutput {
  /// What `--json` prints: one object, and nothing else.
  ///
  /// - Throws: ``CoordinatorError/io(_:)``.
  static func print(json value: some Encodable) throws { try write(JSONForm.printed(value)) }

  /// - Throws: ``CoordinatorError/io(_:)``.
  static func print(_ text: String, terminator: String = "\n") throws { try write(Data((text + terminator).utf8)) }

  private static func write(_ data: Data) throws {
    // The two may be one terminal.
    StandardError.flush()
    let code = DescriptorOutput.write(data, to: STDOUT_FILENO)
    if code != 0 { throw CoordinatorError.io("standard output: \(String(cString: strerror(code)))") }
  }
}

/// A line for people, on standard error so that standard output stays for results.
func report(_ line: String) { StandardError.write(line + "\n") }
