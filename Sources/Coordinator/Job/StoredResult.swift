import GRDB
import JobGraph

/// A result that survives: its bytes are in the artifact store, or its record is all there is.
package struct StoredResult: Codable, Sendable, Equatable, FetchableRecord, PersistableRecord {
  package static let databaseTableName = "result"

  package enum Kind: String, Codable, Sendable {
    case fit
    case merge
    case tune
    case update
    case verify
    case evaluate
  }

  package let kind: Kind
  package let block: Int
  /// The linear of a fit, the step of an update, the window of an evaluation, else 0.
  package let part: Int
  /// SHA-256 of the artifact, if the result has one.
  package let digest: String?
  package let size: Int?
  /// A ``FitRecord``, ``TuneRecord``, ``UpdateRecord``, ``VerifyRecord`` or ``WindowLoss`` as JSON.
  package let record: String
  /// The worker's name.
  package let worker: String
  package let seconds: Double
  /// A ``RowCheck`` of all that; nil if an earlier version stored it.
  package let rowCheck: String?

  enum CodingKeys: String, CodingKey {
    case kind, block, part, digest, size, record, worker, seconds
    case rowCheck = "row_check"
  }

  package init(
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
  package var isIntact: Bool {
    rowCheck == nil || rowCheck == RowCheck.of([kind.rawValue, block, part, digest, size, record, worker, seconds])
  }

  /// What a step of a distillation reports; nil for other results.
  var update: UpdateRecord? {
    kind == .update ? try? JSONForm.value(UpdateRecord.self, ofRecord: record) : nil
  }

  /// The result's artifact.
  package var artifact: ArtifactRef? {
    guard let digest, let size else { return nil }
    return ArtifactRef(name: ArtifactRef.packedName, digest: digest, size: size)
  }
}
