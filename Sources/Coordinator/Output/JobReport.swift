import CRVQ
import Checkpoint
import Foundation
import JobGraph

/// `crvq_report.json`: what was asked, what each linear and block lost, what it took.
public struct JobReport: Codable, Sendable {
  public static let fileName = "crvq_report.json"
  /// The longest report that is read: some 40,000 linears.
  static let byteCountMax = 1 << 24

  public struct Linear: Codable, Sendable {
    public let block: Int
    public let name: String
    /// [out, in].
    public let shape: [Int]
    /// On the Gram the fit saw.
    public let relativeError: Double
    /// On sequences no fit has seen.
    public let heldOutError: Double
    public let frobeniusError: Double
    /// With the channel order.
    public let bitsPerWeight: Double
    /// As the paper counts: codes, codebooks, scales.
    public let bitsPerWeightWithoutOrder: Double
    public let seconds: Double
    public let worker: String

    /// The number of weights.
    public var weights: Int { shape.reduce(1, *) }
  }

  public struct Block: Codable, Sendable {
    public let block: Int
    /// Share of the block's output energy that is lost on held-out sequences.
    public let outputError: Double
    public let worker: String
    /// What tuning did for it; nil in a job that does not tune.
    public let tune: TuneRecord?
  }

  /// What distilling all blocks together did; see ``UpdateRecord``.
  public struct Distillation: Codable, Sendable, Equatable {
    public let lossBefore: Double?
    public let lossAfter: Double?
    public let epochs: Int
    public let bestEpoch: Int

    init(_ record: UpdateRecord) {
      lossBefore = record.lossBefore
      lossAfter = record.lossAfter
      epochs = record.epochs
      bestEpoch = record.bestEpoch
    }

    /// "distilled: 0.755 to 0.669 nats a position from the original (epoch 2 of 2)".
    public var text: String {
      guard let lossBefore, let lossAfter else {
        return "distilled: a loss was not a number; the packed blocks are kept"
      }
      let change = "\(lossBefore.fixed(3)) to \(lossAfter.fixed(3)) nats a position from the original"
      return bestEpoch == 0
        ? "distilled: no epoch of \(epochs) was better than \(lossBefore.fixed(3)) nats a position; the packed blocks are kept"
        : "distilled: \(change) (epoch \(bestEpoch) of \(epochs))"
    }
  }

  public struct Totals: Codable, Sendable {
    public let linears: Int
    public let weights: Int
    public let bitsPerWeight: Double
    public let bitsPerWeightWithoutOrder: Double
    /// Means over linears.
    public let meanRelativeError: Double
    public let meanHeldOutError: Double
    public let worstRelativeError: Double
    public let worstLinear: String
    /// Wall time of the job, all coordinators together.
    public let seconds: Double
    /// Sum of the fits' times.
    public let fitSeconds: Double
  }

  public struct Digests: Codable, Sendable {
    public let model: String
    public let tokens: String
    /// SHA-256 of every file of the output but this one.
    public let files: [String: String]
  }

  public let options: JobOptions
  public let linears: [Linear]
  public let blocks: [Block]
  /// nil in a job that does not distill.
  public let distillation: Distillation?
  public let totals: Totals
  public let digests: Digests

  /// The text of the file: sorted keys, snake case.
  public func json() throws -> String { try JSONForm.report(self) }

  /// Reads the report of a packed model.
  ///
  /// - Throws: ``CheckpointError``, ``CoordinatorError`` naming the file.
  public init(directory: String) throws {
    let path = "\(directory)/\(Self.fileName)"
    let text = try AtomicFile.read(path, byteCountMax: Self.byteCountMax)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      self = try decoder.decode(Self.self, from: Data(text))
    } catch let error as DecodingError {
      throw CoordinatorError.badInput("\(path): not a report that this release reads: \(error.account)")
    }
    try validate(path)
  }

  /// Checks that the linears have shapes, that their weights can be counted, and that no file lies elsewhere.
  private func validate(_ path: String) throws {
    let sizes = 1...PackedFormat.maximumDimension
    var weights = 0
    for linear in linears {
      guard linear.shape.count == 2, linear.shape.allSatisfy(sizes.contains) else {
        throw CoordinatorError.badInput(
          "\(path): block \(linear.block) \(linear.name): shape is \(linear.shape), "
            + "expected two sizes of at most \(sizes.upperBound)")
      }
      let (sum, overflow) = weights.addingReportingOverflow(linear.weights)
      if overflow {
        throw CoordinatorError.badInput(
          "\(path): linears: \(linears.count) shapes, which come to 2^63 weights or more; no model has as many")
      }
      weights = sum
    }
    if let name = digests.files.keys.sorted().first(where: { $0.contains("/") }) {
      throw CoordinatorError.badInput("\(path): digests.files: '\(name)', expected names of files beside the report")
    }
  }
}

extension DecodingError {
  /// Which key, and what is wrong with it, in one line.
  fileprivate var account: String {
    let context =
      switch self {
      case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): context
      case .keyNotFound(let key, let context):
        Context(codingPath: context.codingPath + [key], debugDescription: "is missing")
      @unknown default: Context(codingPath: [], debugDescription: "\(self)")
      }
    let place = context.codingPath.map { $0.intValue.map(String.init) ?? Self.snakeCase($0.stringValue) }
      .joined(separator: ".")
    return place.isEmpty ? context.debugDescription : "\(place): \(context.debugDescription)"
  }

  /// A key as it is in the file.
  private static func snakeCase(_ key: String) -> String {
    key.reduce(into: "") { text, letter in text += letter.isUppercase ? "_\(letter.lowercased())" : "\(letter)" }
  }
}
