import CRVQ
import Foundation
import JobGraph

/// `crvq_report.json`: what was asked, what each linear and block lost, what it took.
public struct JobReport: Codable, Sendable {
  public static let fileName = "crvq_report.json"

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
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }

  /// Reads the report of a packed model.
  ///
  /// - Throws: ``CoordinatorError`` naming the file.
  public init(directory: String) throws {
    let path = "\(directory)/\(Self.fileName)"
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      self = try decoder.decode(Self.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    } catch let error as DecodingError {
      throw CoordinatorError.badInput("\(path): not a report that this release reads: \(error.account)")
    } catch {
      throw CoordinatorError.badInput("\(path): not a crvq report: \(error.localizedDescription)")
    }
    let sizes = 1...PackedFormat.maximumDimension
    for linear in linears where linear.shape.count != 2 || !linear.shape.allSatisfy(sizes.contains) {
      throw CoordinatorError.badInput(
        "\(path): block \(linear.block) \(linear.name): shape is \(linear.shape), expected two sizes of at most \(sizes.upperBound)"
      )
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
