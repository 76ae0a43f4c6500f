import CRVQ
import Foundation
import JobGraph

/// Everything that decides the bytes of a job's output, as the user asked for it, with defaults filled in.
///
/// Kept in the job directory; a job is resumed with exactly these. How many machines do the work is not among them.
public struct JobOptions: Codable, Sendable, Equatable {
  /// Raised whenever the same options give other bytes than before, or a job's records mean something else: half a job of each would
  /// fit neither.
  static let currentMethod = 5
  /// The same for jobs that tune, and for those that only distill, which are counted on their own.
  private static let (tuningMethod, distillingMethod) = (9, 8)
  /// The first that knows a model by its manifest.
  private static let manifestMethod = 3

  /// How the release that made the job goes about it.
  public let method: Int
  /// The original model's directory, absolute.
  public var model: String
  /// The token file, absolute.
  public var calibration: String
  /// Where the packed model goes, absolute.
  public var output: String
  public var fit: FitOptions
  public var propagation: JobPlan.Propagation
  /// Whether each block's last linear is fitted after the others, to repair what they lost.
  public var repair: Bool
  /// Epochs of block tuning at most; 0 for none.
  public var tuneEpochs: Int
  /// Epochs of distilling all blocks together at most; nil for none, as in records of releases that do not know it.
  public var distillEpochs: Int?
  /// Sequences of the token file in use, the first ones.
  public var sequences: Int
  /// The last so many of them change nothing: they verify, and tell which epoch of a tune or a distillation was the best.
  public var heldOut: Int
  public var shards: Int
  /// Verification fails above this; nil for no bound.
  public var maximumRelativeError: Double?

  /// Whether the report of the job has a digest of the model that this release can compare.
  var knowsModelByManifest: Bool { method >= Self.manifestMethod }

  /// The most shards: a task names several artifacts of each as its inputs, and messages are bounded.
  public static let shardsMax = 512
  /// The most epochs that can be asked for.
  public static let tuneEpochsMax = 1000
  /// Fewer, because every micro-batch of an epoch is a task of its own.
  public static let distillEpochsMax = 100

  public init(
    model: String, calibration: String, output: String, fit: FitOptions, propagation: JobPlan.Propagation,
    repair: Bool = true, tuneEpochs: Int = 0, distillEpochs: Int? = nil, sequences: Int, heldOut: Int, shards: Int,
    maximumRelativeError: Double?
  ) {
    method = Self.method(tuneEpochs, distillEpochs)
    self.model = model
    self.calibration = calibration
    self.output = output
    self.fit = fit
    self.propagation = propagation
    self.repair = repair
    self.tuneEpochs = tuneEpochs
    self.distillEpochs = distillEpochs
    self.sequences = sequences
    self.heldOut = heldOut
    self.shards = shards
    self.maximumRelativeError = maximumRelativeError
  }

  private static func method(_ tuneEpochs: Int, _ distillEpochs: Int?) -> Int {
    tuneEpochs > 0 ? tuningMethod : distillEpochs != nil ? distillingMethod : currentMethod
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

extension JobOptions {
  /// - Throws: ``CoordinatorError`` if the text is none that this release can read, or has a number out of its range.
  package init(json: String, path: String) throws {
    guard let options = try? JSONForm.value(Self.self, ofRecord: json) else { throw Self.otherRelease(path) }
    if let fault = options.fault { throw JobStore.damage(path, fault) }
    self = options
  }

  /// The first number that no command line gives, with what is expected; nil if there is none. Those who plan a job
  /// take them for granted.
  private var fault: String? {
    if sequences < 2 { return "sequences is \(sequences), expected at least 2" }
    let limits: [(name: String, value: Int, range: ClosedRange<Int>)] = [
      ("heldOut", heldOut, 1...sequences - 1), ("shards", shards, 1...Self.shardsMax),
      ("tuneEpochs", tuneEpochs, 0...Self.tuneEpochsMax),
      ("distillEpochs", distillEpochs ?? 1, 1...Self.distillEpochsMax),
    ]
    guard let wrong = limits.first(where: { !$0.range.contains($0.value) }) else { return nil }
    return "\(wrong.name) is \(wrong.value), expected \(wrong.range.lowerBound) to \(wrong.range.upperBound)"
  }

  /// - Throws: ``CoordinatorError`` if this release would give other bytes than the one that began the job.
  package func checkMethod(_ path: String) throws {
    if method != Self.method(tuneEpochs, distillEpochs) { throw Self.otherRelease(path) }
  }

  private static func otherRelease(_ path: String) -> CoordinatorError {
    .badInput("\(path): the job was made by another release of crvq; start a new job")
  }

  /// The options that are not as they were, by name, with both values.
  func differences(from before: JobOptions) -> [String] {
    func flat(_ options: JobOptions) -> [String: String] {
      guard let json = try? JSONForm.record(options),
        let value = try? JSONSerialization.jsonObject(with: Data(json.utf8))
      else {
        return [:]
      }
      return Self.flatten(value, "")
    }
    let (old, new) = (flat(before), flat(self))
    return Set(old.keys).union(new.keys).sorted().compactMap { key in
      old[key] == new[key] ? nil : "\(key) was \(old[key] ?? "unset"), now \(new[key] ?? "unset")"
    }
  }

  private static func flatten(_ value: Any, _ path: String) -> [String: String] {
    guard let object = value as? [String: Any] else { return [path: "\(value)"] }
    return object.reduce(into: [:]) { flat, entry in
      flat.merge(flatten(entry.value, path.isEmpty ? entry.key : "\(path).\(entry.key)")) { $1 }
    }
  }
}
