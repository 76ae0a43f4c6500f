import Coordinator

/// The packed model that a finished job has made, as told to its user.
struct PackedOutput {
  private let options: JobOptions
  private let report: JobReport

  /// - Throws: ``CoordinatorError`` if the report is not there.
  init(_ options: JobOptions) throws {
    self.options = options
    report = try JobReport(directory: options.output)
  }

  /// - Throws: ``CoordinatorError`` if a linear is above the user's bound.
  func show(json: Bool) throws {
    if json { try StandardOutput.print(json: report) } else { try printTable() }
    try report.checkBound()
  }

  private func printTable() throws {
    try StandardOutput.print(report.table)
    try StandardOutput.print(
      "\n\(report.totals.linears) linears, \(report.totals.bitsPerWeight.fixed(3)) bits a weight, "
        + "\(report.totals.seconds.asTime); worst \(report.totals.worstLinear) \(report.totals.worstRelativeError.fixed(5))"
    )
    if let distillation = report.distillation { try StandardOutput.print(distillation.text) }
    try StandardOutput.print("output: \(options.output)")
    try StandardOutput.print(
      "next: crvq-coord evaluate --model \(ShellWord.quoted(options.output)) --tokens TEST.safetensors")
  }
}
