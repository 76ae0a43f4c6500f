import Foundation
import Messaging

extension JobRecord {
  /// Whether what has the output's name is this job's output, complete and unharmed: the directory takes its name last.
  ///
  /// - Throws: ``ArtifactError`` if a file cannot be read.
  func isOutput(_ options: JobOptions) throws -> Bool {
    guard let report = try? JobReport(directory: options.output), report.options == options,
      report.digests.model == modelDigest, report.digests.tokens == tokensDigest
    else { return false }
    return try report.digests.files.allSatisfy { name, digest in
      let path = "\(options.output)/\(name)"
      return try FileManager.default.fileExists(atPath: path) && OpenFile(path).artifact().digest.hex == digest
    }
  }
}

extension JobOptions {
  /// What is said where a job needs its output's name and something else has it: `resume` takes no other `--output`.
  var outputIsTaken: String { "\(output): exists, and is not what this job made; remove it and resume" }
}
