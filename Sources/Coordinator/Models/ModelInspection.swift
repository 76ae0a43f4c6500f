import CRVQ
import Checkpoint
import Foundation

/// What a packed model is made of.
public struct ModelInspection: Sendable {
  public struct Summary: Codable, Sendable {
    public let architecture: String
    public let blocks: Int
    public let format: PackedFormat
    public let packedLinears: Int
    public let packedWeights: Int
    /// Over all packed linears, in parts.
    public let bits: BitsPerWeight.Parts
    public let bitsPerWeight: Double
    public let bitsPerWeightWithoutOrder: Double
    public let packedBytes: Int
    public let otherBytes: Int
    public let meanRelativeError: Double?
    public let meanHeldOutError: Double?
  }

  public let summary: Summary
  public let text: String

  /// - Throws: errors that name the file at fault.
  public init(quantized: String) throws {
    let (model, packed) = try OpenedModel.packed(quantized)
    let hasReport = FileManager.default.fileExists(atPath: "\(quantized)/\(JobReport.fileName)")
    let report = hasReport ? try JobReport(directory: quantized) : nil
    var sum = BitsPerWeight.Parts()
    var weights = 0
    for prefix in packed.packedPrefixes {
      let linear = try packed.linear(prefix)
      weights += linear.rows * linear.columns
      sum.add(linear.bitsPerWeight, weights: linear.rows * linear.columns)
    }
    let bits = sum.divided(by: weights)
    let packedNames = packed.packedPrefixes.flatMap(PackedPart.names)
    func bytes(_ names: some Sequence<String>) throws -> Int {
      try names.filter { model.checkpoint.shape(of: $0) != nil }
        .reduce(0) { try $0 + model.checkpoint.withBytes($1) { $0.count } }
    }
    let packedBytes = try bytes(packedNames)
    let allBytes = try bytes(model.checkpoint.tensorNames)
    summary = Summary(
      architecture: model.model.architecture, blocks: model.model.blockCount,
      format: try QuantizationConfig(model.config).format, packedLinears: packed.packedPrefixes.count,
      packedWeights: weights, bits: bits, bitsPerWeight: bits.total,
      bitsPerWeightWithoutOrder: bits.total - bits.channelOrder, packedBytes: packedBytes,
      otherBytes: allBytes - packedBytes, meanRelativeError: report?.totals.meanRelativeError,
      meanHeldOutError: report?.totals.meanHeldOutError)
    text = Self.text(summary, report)
  }

  private static func text(_ summary: Summary, _ report: JobReport?) -> String {
    let format = summary.format
    let bits = summary.bits
    var lines = [
      "\(summary.architecture), \(summary.blocks) blocks, \(summary.packedLinears) packed linears",
      "group size \(format.groupSize), codebook bits \(format.codebookBits.map(String.init).joined(separator: ",")), "
        + "critical ratio \(format.criticalRatio)",
      "\(summary.bitsPerWeight.fixed(3)) bits a weight, "
        + "\(summary.bitsPerWeightWithoutOrder.fixed(3)) without the channel order:",
      "  codes \(bits.codes.fixed(3)), codebooks \(bits.codebooks.fixed(3)), scales \(bits.scales.fixed(3)), "
        + "channel order \(bits.channelOrder.fixed(3))",
      "\(summary.packedBytes) bytes packed, \(summary.otherBytes) bytes as in the original",
    ]
    if let report { lines.append(report.table) }
    return lines.joined(separator: "\n")
  }
}

extension BitsPerWeight {
  /// Bits, or bits a weight, in parts.
  public struct Parts: Codable, Sendable {
    public var codes = 0.0
    public var codebooks = 0.0
    public var scales = 0.0
    public var channelOrder = 0.0

    public var total: Double { codes + codebooks + scales + channelOrder }

    mutating func add(_ bits: BitsPerWeight, weights: Int) {
      codes += bits.codes * Double(weights)
      codebooks += bits.codebooks * Double(weights)
      scales += bits.scales * Double(weights)
      channelOrder += bits.channelOrder * Double(weights)
    }

    func divided(by weights: Int) -> Parts {
      let count = Double(max(1, weights))
      return Parts(
        codes: codes / count, codebooks: codebooks / count, scales: scales / count, channelOrder: channelOrder / count)
    }
  }
}
