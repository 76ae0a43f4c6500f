import Foundation

extension JobRecord {
  /// Whether what has the output's name is this job's output, complete and unharmed: the directory takes its name last.
  ///
  /// - Throws: ``CoordinatorError`` if a file cannot be read.
  func isOutput(_ options: JobOptions) throws -> Bool {
    guard let report = try? JobReport(directory: options.output), report.options == options,
      report.digests.model == modelDigest, report.digests.tokens == tokensDigest
    else { return false }
    return try report.digests.files.allSatisfy { name, digest in
      let path = "\(options.output)/\(name)"
      return try FileManager.default.fileExists(atPath: path) && FileDigest.of(path: path).hex == digest
    }
  }
}
