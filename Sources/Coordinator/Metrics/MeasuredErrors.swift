import Foundation

/// What blocks have lost, as far as it has been measured.
package struct MeasuredErrors: Sendable, Equatable {
  /// The relative error of fitted linears, by block and index of the linear.
  package private(set) var relative: [Int: [Int: Double]] = [:]
  /// The relative error of the output of verified blocks, on held-out data.
  package private(set) var output: [Int: Double] = [:]

  package init() {}

  package mutating func add(_ result: StoredResult) {
    let record = Data(result.record.utf8)
    switch result.kind {
    case .fit:
      let fit = try? JSONDecoder().decode(FitRecord.self, from: record)
      relative[result.block, default: [:]][result.part] = fit?.relativeError
    case .verify: output[result.block] = try? JSONDecoder().decode(VerifyRecord.self, from: record).outputError
    case .merge, .tune, .update, .evaluate: break
    }
  }
}
