/// What blocks have lost, as far as it has been measured.
package struct MeasuredErrors: Sendable, Equatable {
  /// The relative error of fitted linears, by block and index of the linear.
  package private(set) var relative: [Int: [Int: Double]] = [:]
  /// The relative error of the output of verified blocks, on held-out data.
  package private(set) var output: [Int: Double] = [:]

  package init() {}

  package mutating func add(_ result: StoredResult) {
    switch result.kind {
    case .fit:
      let fit = try? JSONForm.value(FitRecord.self, ofRecord: result.record)
      relative[result.block, default: [:]][result.part] = fit?.relativeError
    case .verify: output[result.block] = try? JSONForm.value(VerifyRecord.self, ofRecord: result.record).outputError
    case .merge, .tune, .update, .evaluate: break
    }
  }
}
