import Foundation
import GRDB
import JobGraph

/// A result that survives: its bytes are in the artifact store, or its record is all there is.
public struct StoredResult: Codable, Sendable, Equatable, FetchableRecord, PersistableRecord {
  public static let databaseTableName = "result"

  public enum Kind: String, Codable, Sendable {
    case fit
    case merge
    case tune
    case update
    case verify
    case evaluate
  }

  public let kind: Kind
  public let block: Int
  /// The linear of a fit, the step of an update, the window of an evaluation, else 0.
  public let part: Int
  /// SHA-256 of the artifact, if the result has one.
  public let digest: String?
  public let size: Int?
  /// A ``FitRecord``, ``TuneRecord``, ``UpdateRecord``, ``VerifyRecord`` or ``WindowLoss`` as JSON.
  public let record: String
  /// The worker's name.
  public let worker: String
  public let seconds: Double
  /// A ``RowCheck`` of all that; nil if an earlier version stored it.
  private let rowCheck: String?

  enum CodingKeys: String, CodingKey {
    case kind, block, part, digest, size, record, worker, seconds
    case rowCheck = "row_check"
  }

  public init(
    kind: Kind, block: Int, part: Int, digest: String?, size: Int?, record: String, worker: String, seconds: Double
  ) {
    self.kind = kind
    self.block = block
    self.part = part
    self.digest = digest
    self.size = size
    self.record = record
    self.worker = worker
    self.seconds = seconds
    rowCheck = RowCheck.of([kind.rawValue, block, part, digest, size, record, worker, seconds])
  }

  /// Whether the row is as it was written.
  var isIntact: Bool {
    rowCheck == nil || rowCheck == RowCheck.of([kind.rawValue, block, part, digest, size, record, worker, seconds])
  }

  /// What a step of a distillation reports; nil for other results.
  var update: UpdateRecord? {
    kind == .update ? try? JSONDecoder().decode(UpdateRecord.self, from: Data(record.utf8)) : nil
  }

  /// The result's artifact.
  public var artifact: ArtifactRef? {
    guard let digest, let size else { return nil }
    return ArtifactRef(name: ArtifactRef.packedName, digest: digest, size: size)
  }
}

/// What a fit reports.
public struct FitRecord: Codable, Sendable, Equatable {
  public let relativeError: Double
  public let frobeniusError: Double
  public let bitsCodes: Double
  public let bitsCodebooks: Double
  public let bitsScales: Double
  public let bitsChannelOrder: Double
  public let rounds: Int
}

/// What a tune reports.
public struct TuneRecord: Codable, Sendable, Equatable {
  /// The loss of the fitted block on held-out sequences: mean over positions of ‖y - t‖² / ‖t‖². nil if it is not a number.
  public let lossBefore: Double?
  /// That of the block that is kept; nil if a loss was not a number and the tune ended there.
  public let lossAfter: Double?
  public let epochs: Int
  /// Whether the tuned block was better and is the one in the output.
  public let changed: Bool
}

/// What a step of a distillation reports: how it has gone so far.
public struct UpdateRecord: Codable, Sendable, Equatable {
  /// How far the model's words are from the original's on held-out sequences, before the first epoch: the mean Kullback-Leibler
  /// divergence of a position, in nats. nil if it is not a number.
  public let lossBefore: Double?
  /// The least of all epochs; nil if a loss was not a number, and the packed blocks stay as they were.
  public let lossAfter: Double?
  /// Epochs that were run.
  public let epochs: Int
  /// The one whose parameters are in the output; 0 if none was better than the packed blocks.
  public let bestEpoch: Int
  /// Whether the distillation is over: the result's artifact goes into the output.
  public let isLast: Bool

  /// "distilling: epoch 1: best so far 0.702, 0.755 nats a position from the original before".
  var text: String {
    guard let lossBefore, let lossAfter else { return "distilling: epoch \(epochs): a loss is not a number" }
    let best = bestEpoch == 0 ? "nothing better so far" : "best so far \(lossAfter.fixed(3))"
    return "distilling: epoch \(epochs): \(best), \(lossBefore.fixed(3)) nats a position from the original before"
  }
}

/// What a verification reports.
public struct VerifyRecord: Codable, Sendable, Equatable {
  public struct Linear: Codable, Sendable, Equatable {
    public let name: String
    public let heldOutError: Double
    public let frobeniusError: Double
  }

  public let linears: [Linear]
  /// Share of the block's output energy that is lost on held-out data.
  public let outputError: Double
}

extension JobStore {
  public func results() throws -> [StoredResult] {
    try read { try StoredResult.order(Column("kind"), Column("block"), Column("part")).fetchAll($0) }
  }

  /// The fits of one block, in the model's order.
  func fits(ofBlock block: Int) throws -> [StoredResult] {
    try read {
      try StoredResult.filter(Column("kind") == StoredResult.Kind.fit.rawValue && Column("block") == block)
        .order(Column("part")).fetchAll($0)
    }
  }

  /// Makes a result durable. Storing the same result again changes nothing.
  public func store(_ result: StoredResult) throws { try write { try result.upsert($0) } }

  /// Forgets results whose artifacts are gone.
  public func remove(_ results: [StoredResult]) throws {
    try write { database in for result in results { try result.delete(database) } }
  }
}
