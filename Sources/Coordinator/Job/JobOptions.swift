import CRVQ
import Foundation
import JobGraph

/// Everything that decides the bytes of a job's output, as the user asked for it, with defaults filled in.
///
/// Kept in the job directory; a job is resumed with exactly these. How many machines do the work is not among them.
public struct JobOptions: Codable, Sendable, Equatable {
  /// The original model's directory, absolute.
  public var model: String
  /// The token file, absolute.
  public var calibration: String
  /// Where the packed model goes, absolute.
  public var output: String
  public var fit: FitOptions
  public var propagation: String
  /// Sequences of the token file in use, the first ones.
  public var sequences: Int
  /// The last so many of them are kept from every fit.
  public var heldOut: Int
  public var shards: Int
  /// Verification fails above this; nil for no bound.
  public var maximumRelativeError: Double?

  public init(
    model: String, calibration: String, output: String, fit: FitOptions, propagation: JobPlan.Propagation,
    sequences: Int, heldOut: Int, shards: Int, maximumRelativeError: Double?
  ) {
    self.model = model
    self.calibration = calibration
    self.output = output
    self.fit = fit
    self.propagation = propagation.rawValue
    self.sequences = sequences
    self.heldOut = heldOut
    self.shards = shards
    self.maximumRelativeError = maximumRelativeError
  }

  /// The shards of the calibration sequences.
  public var plannedShards: [JobPlan.Shard] {
    JobPlan.slice(sequences: sequences, heldOut: heldOut, count: shards)
  }

  /// Sequences and held-out sequences from what was asked and what the file has.
  ///
  /// - Throws: ``CoordinatorError`` where the numbers do not fit together.
  public static func resolve(
    available: Int, sequences: Int?, heldOut: Int?, shards: Int?, tokens: String
  ) throws -> (sequences: Int, heldOut: Int, shards: Int) {
    let used = sequences ?? available
    guard used <= available else {
      throw CoordinatorError.badInput(
        "\(tokens): --sequences asks for \(used) sequences, the file has \(available); ask for fewer or tokenize more")
    }
    guard used >= 2 else {
      throw CoordinatorError.badInput(
        "\(tokens): \(used) sequence in use, expected at least 2: one to fit and one held out to verify")
    }
    let kept = heldOut ?? max(1, used / 8)
    guard (1..<used).contains(kept) else {
      throw CoordinatorError.usage(
        "--held-out is \(kept), expected 1 to \(used - 1) of the \(used) sequences in use")
    }
    return (used, kept, min(shards ?? 16, used))
  }
}
