import JobGraph

extension JobReport {
  /// The report of a job whose results are all in.
  init(options: JobOptions, plan: JobPlan, job: JobRecord, results: [StoredResult], files: [String: String]) throws {
    let fits = Dictionary(
      results.filter { $0.kind == .fit }.map { ([$0.block, $0.part], $0) }, uniquingKeysWith: { $1 })
    let tunes = try Dictionary(
      results.filter { $0.kind == .tune }.map { ($0.block, try JSONForm.value(TuneRecord.self, ofRecord: $0.record)) },
      uniquingKeysWith: { $1 })
    var linears: [Linear] = []
    var blocks: [Block] = []
    for result in results where result.kind == .verify {
      let verified = try JSONForm.value(VerifyRecord.self, ofRecord: result.record)
      blocks.append(
        Block(
          block: result.block, outputError: verified.outputError, worker: result.worker, tune: tunes[result.block]))
      for (part, linear) in plan.linears.enumerated() {
        guard let fit = fits[[result.block, part]],
          let measured = verified.linears.first(where: { $0.name == linear.name })
        else {
          throw CoordinatorError.internal("block \(result.block): no result of \(linear.name) in the job database")
        }
        let fitted = try JSONForm.value(FitRecord.self, ofRecord: fit.record)
        linears.append(Linear(linear, fit, fitted, measured))
      }
    }
    self.options = options
    self.linears = linears
    self.blocks = blocks
    distillation = results.lazy.compactMap(\.update).first(where: \.isLast).map(Distillation.init)
    totals = Totals(linears, seconds: job.seconds)
    digests = Digests(model: job.modelDigest, tokens: job.tokensDigest, files: files)
  }
}

extension JobReport.Linear {
  fileprivate init(
    _ linear: JobPlan.Linear, _ fit: StoredResult, _ fitted: FitRecord, _ measured: VerifyRecord.Linear
  ) {
    block = fit.block
    name = linear.name
    shape = [linear.outFeatures, linear.inFeatures]
    relativeError = fitted.relativeError
    heldOutError = measured.heldOutError
    frobeniusError = measured.frobeniusError
    bitsPerWeightWithoutOrder = fitted.bitsCodes + fitted.bitsCodebooks + fitted.bitsScales
    bitsPerWeight = bitsPerWeightWithoutOrder + fitted.bitsChannelOrder
    seconds = fit.seconds
    worker = fit.worker
  }
}

extension JobReport.Totals {
  init(_ linears: [JobReport.Linear], seconds: Double) {
    weights = linears.reduce(0) { $0 + $1.weights }
    bitsPerWeight = JobReport.perWeight(linears, \.bitsPerWeight)
    bitsPerWeightWithoutOrder = JobReport.perWeight(linears, \.bitsPerWeightWithoutOrder)
    meanRelativeError = JobReport.mean(linears, \.relativeError)
    meanHeldOutError = JobReport.mean(linears, \.heldOutError)
    let worst = linears.max { $0.relativeError < $1.relativeError }
    worstRelativeError = worst?.relativeError ?? 0
    worstLinear = worst.map { "block \($0.block) \($0.name)" } ?? ""
    self.linears = linears.count
    self.seconds = seconds
    fitSeconds = linears.reduce(0) { $0 + $1.seconds }
  }
}

extension JobReport {
  /// The mean of a value over linears, each counted once.
  static func mean(_ linears: [Linear], _ value: (Linear) -> Double) -> Double {
    linears.reduce(0) { $0 + value($1) } / Double(max(1, linears.count))
  }

  /// The mean of a value over linears, each counted as often as it has weights.
  static func perWeight(_ linears: [Linear], _ value: (Linear) -> Double) -> Double {
    let weights = linears.reduce(0) { $0 + $1.weights }
    return linears.reduce(0) { $0 + value($1) * Double($1.weights) } / Double(max(1, weights))
  }

  /// The table shown at the end of a job: a line a kind of linear.
  public var table: String {
    let groups = Dictionary(grouping: linears, by: \.name)
    var seen: Set<String> = []
    let names = linears.map(\.name).filter { seen.insert($0).inserted }
    func row(_ cells: [String]) -> String {
      cells.enumerated().map { $0 == 0 ? $1.padded(to: 20) : $1.leftPadded(to: 14) }.joined()
    }
    func cells(_ name: String, _ group: [Linear]) -> [String] {
      [
        name, "\(group.count)", Self.mean(group, \.relativeError).fixed(5), Self.mean(group, \.heldOutError).fixed(5),
        Self.perWeight(group, \.bitsPerWeight).fixed(3), Self.perWeight(group, \.bitsPerWeightWithoutOrder).fixed(3),
      ]
    }
    let header = row(["linear", "count", "rel. error", "held out", "bits/weight", "w/o order"])
    let rows = names.map { row(cells($0, groups[$0] ?? [])) }
    return ([header] + rows + [row(cells("all", linears))]).joined(separator: "\n")
  }
}
