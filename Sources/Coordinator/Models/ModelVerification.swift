import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Numerics
import Transformer

/// Checks a packed model against its original, from the two directories alone.
public struct ModelVerification: Sendable {
  public struct Linear: Codable, Sendable {
    public let block: Int
    public let name: String
    /// Recomputed from the decoded bytes.
    public let frobeniusError: Double
    /// With the channel order, of what was written.
    public let bitsPerWeight: Double
    /// On the calibration tokens, if any were given: on those of the job what its report calls the held-out error.
    public let relativeError: Double?
  }

  public struct Result: Codable, Sendable {
    public let linears: [Linear]
    /// Share of each block's output energy that is lost, if tokens were given.
    public let outputErrors: [Double]
    /// Files whose digest the report vouches for.
    public let filesChecked: Int
    /// Whether errors were measured on the job's own tokens, and compared with its report.
    public let comparedWithReport: Bool
    /// One line for everything that is not as it should be.
    public let faults: [String]
    public let seconds: Double
  }

  let model: String
  let quantized: String
  let calibration: String?
  let maximumRelativeError: Double?

  public init(model: String, quantized: String, calibration: String?, maximumRelativeError: Double?) {
    self.model = model
    self.quantized = quantized
    self.calibration = calibration
    self.maximumRelativeError = maximumRelativeError
  }

  /// How far a recomputed error may be from the reported one: machines add in different orders.
  static let agreement = 1e-3

  /// - Throws: errors that name the file at fault. What is readable but wrong is among the result's faults.
  public func run(team: ThreadTeam, progress: (String) -> Void) throws -> Result {
    let started = ContinuousClock.now
    let original = try OpenedModel(model)
    let (packed, _) = try OpenedModel.packed(quantized)
    guard original.packed == nil else {
      throw CoordinatorError.badInput("\(model): is packed itself; --model takes the original")
    }
    guard original.model.shape == packed.model.shape else {
      throw CoordinatorError.badInput("\(quantized): its configuration is not that of \(model)")
    }
    let report = try JobReport(directory: quantized)
    var faults = try digestFaults(report)
    progress("checked the digests of \(report.digests.files.count) files")
    let measurement = try calibration.map {
      try BlockMeasurement(original: original, packed: packed, tokens: $0, report: report)
    }
    if let calibration, measurement?.repeatsReport == false {
      progress("\(calibration): not the tokens of the job; measured on all of them, and not compared with the report")
    }
    var linears: [Linear] = []
    var outputErrors: [Double] = []
    do {
      for block in 0..<original.model.blockCount {
        let measured = try measure(block, original, packed, measurement, team)
        linears += measured.linears
        if let error = measured.outputError { outputErrors.append(error) }
        progress("block \(block): \(measured.summary)")
      }
    } catch let error where !faults.isEmpty {
      // A file with another digest may not decode any more. The digest comes first: it names the file.
      faults.append("\(error)")
    }
    let repeatsReport = measurement?.repeatsReport ?? false
    faults += linears.flatMap { faultsOf($0, report, repeatsReport: repeatsReport) }
    if repeatsReport { faults += outputFaults(outputErrors, report) }
    faults += totalFaults(report)
    faults += try strangerFaults(original, report)
    return Result(
      linears: linears, outputErrors: outputErrors, filesChecked: report.digests.files.count,
      comparedWithReport: repeatsReport, faults: faults,
      seconds: (ContinuousClock.now - started) / .seconds(1))
  }

  private func measure(
    _ block: Int, _ original: OpenedModel, _ packed: OpenedModel, _ measurement: BlockMeasurement?, _ team: ThreadTeam
  ) throws -> (linears: [Linear], outputError: Double?, summary: String) {
    let (before, after) = (try original.loadBlock(block, team), try packed.loadBlock(block, team))
    let output = try measurement?.advance(before, after, team: team)
    let linears = try original.model.linears.map { spec in
      let (weight, decoded) = (before[spec.role].weight, after[spec.role].weight)
      return Linear(
        block: block, name: spec.name, frobeniusError: frobeniusError(weight: weight, decoded: decoded),
        bitsPerWeight: try packed.packed?.linear(spec.path(block: block)).bitsPerWeight.total ?? 0,
        relativeError: try output.map {
          relativeError(weight: weight, decoded: decoded, gram: try $0.gram(spec.site), team: team)
        })
    }
    let worst = linears.max { ($0.relativeError ?? $0.frobeniusError) < ($1.relativeError ?? $1.frobeniusError) }
    let summary = worst.map { "worst \($0.name) \(($0.relativeError ?? $0.frobeniusError).fixed(5))" } ?? ""
    return (linears, output?.error, summary)
  }

  private func digestFaults(_ report: JobReport) throws -> [String] {
    try report.digests.files.sorted { $0.key < $1.key }.compactMap { name, digest in
      let path = "\(quantized)/\(name)"
      guard FileManager.default.fileExists(atPath: path) else { return "\(path): missing" }
      let found = try OpenFile(path).artifact().digest.hex
      return found == digest ? nil : "\(path): digest \(found.prefix(12)), expected \(digest.prefix(12))"
    }
  }

  /// Files that the report does not know, and an original that is not the one it tells of.
  private func strangerFaults(_ original: OpenedModel, _ report: JobReport) throws -> [String] {
    let known = Set(report.digests.files.keys).union([JobReport.fileName])
    let names = try FileManager.default.contentsOfDirectory(atPath: quantized).sorted()
    var faults = names.filter { !known.contains($0) }.map { "\(quantized)/\($0): not in the report" }
    if !report.options.knowsModelByManifest { return faults }
    let digest = try ModelManifest(of: original.checkpoint, original.config).artifact.digest.hex
    if digest != report.digests.model {
      let expected = report.digests.model.prefix(12)
      faults.append("\(model): digest \(digest.prefix(12)), but the packed model was made from \(expected)")
    }
    return faults
  }

  private func outputFaults(_ errors: [Double], _ report: JobReport) -> [String] {
    errors.enumerated().compactMap { block, error in
      guard let reported = report.blocks.first(where: { $0.block == block })?.outputError else {
        return "block \(block): not in the report"
      }
      return Self.agree(error, reported)
        ? nil : "block \(block): output error \(error.fixed(6)), reported \(reported.fixed(6))"
    }
  }

  /// The report's totals, which follow from its linears.
  private func totalFaults(_ report: JobReport) -> [String] {
    let (found, reported) = (JobReport.Totals(report.linears, seconds: report.totals.seconds), report.totals)
    let numbers: [(String, Double, Double)] = [
      ("linears", Double(found.linears), Double(reported.linears)),
      ("weights", Double(found.weights), Double(reported.weights)),
      ("bits a weight", found.bitsPerWeight, reported.bitsPerWeight),
      ("bits a weight without order", found.bitsPerWeightWithoutOrder, reported.bitsPerWeightWithoutOrder),
      ("mean relative error", found.meanRelativeError, reported.meanRelativeError),
      ("mean held-out error", found.meanHeldOutError, reported.meanHeldOutError),
      ("worst relative error", found.worstRelativeError, reported.worstRelativeError),
    ]
    return numbers.compactMap { name, sum, total in
      Self.agree(sum, total) ? nil : "totals: \(name) \(total), but \(sum) by the report's linears"
    }
  }

  private static func agree(_ measured: Double, _ reported: Double) -> Bool {
    abs(measured - reported) <= agreement * max(reported, 1e-9)
  }

  private func faultsOf(_ linear: Linear, _ report: JobReport, repeatsReport: Bool) -> [String] {
    let name = "block \(linear.block) \(linear.name)"
    guard let reported = report.linears.first(where: { $0.block == linear.block && $0.name == linear.name }) else {
      return ["\(name): not in the report"]
    }
    var faults: [String] = []
    let expected = reported.frobeniusError
    if !Self.agree(linear.frobeniusError, expected) {
      faults.append("\(name): error \(linear.frobeniusError.fixed(6)) of its weights, reported \(expected.fixed(6))")
    }
    if !Self.agree(linear.bitsPerWeight, reported.bitsPerWeight) {
      faults.append(
        "\(name): \(linear.bitsPerWeight.fixed(6)) bits a weight, reported \(reported.bitsPerWeight.fixed(6))")
    }
    if repeatsReport, let measured = linear.relativeError, !Self.agree(measured, reported.heldOutError) {
      let held = reported.heldOutError.fixed(6)
      faults.append("\(name): held-out error \(measured.fixed(6)), reported \(held)")
    }
    let error = linear.relativeError ?? reported.relativeError
    if let bound = maximumRelativeError, error > bound {
      let kind = repeatsReport ? "held-out" : "relative"
      faults.append("\(name): \(kind) error \(error.fixed(5)) is above \(bound)")
    }
    return faults
  }
}

extension ModelVerification.Result {
  public var text: String {
    var lines = ["verified \(linears.count) linears and \(filesChecked) files in \(seconds.asTime)"]
    func mean(_ values: [Double]) -> String { (values.reduce(0, +) / Double(max(1, values.count))).fixed(5) }
    lines.append("mean error of weights \(mean(linears.map(\.frobeniusError)))")
    if !outputErrors.isEmpty {
      // On the sequences that the job held out it is what its report calls so.
      let kind = comparedWithReport ? "held-out" : "relative"
      lines.append(
        "mean \(kind) error \(mean(linears.compactMap(\.relativeError))), of block outputs \(mean(outputErrors))")
    }
    lines += faults.map { "fault: \($0)" }
    lines.append(faults.isEmpty ? "no faults" : faults.count.counted("fault"))
    return lines.joined(separator: "\n")
  }

  /// The error that the command ends with, if anything was wrong.
  public var failure: CoordinatorError? {
    faults.isEmpty ? nil : .badInput("verification failed: \(faults[0])")
  }
}
