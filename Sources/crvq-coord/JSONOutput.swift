import Coordinator
import Foundation

/// What `--json` prints: one object, and nothing else on standard output.
enum JSONOutput {
  static func print(_ value: some Encodable) throws { FileHandle.standardOutput.write(try JSONForm.data(value)) }
}

/// A line for people, on standard error so that standard output stays for results.
func report(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
