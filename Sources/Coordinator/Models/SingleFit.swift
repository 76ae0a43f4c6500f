import CRVQ
import Checkpoint
import Foundation
import Messaging
import Numerics

/// A fit of one weight matrix that lies in a file with its Gram.
public struct SingleFit: Sendable {
  public struct Result: Codable, Sendable {
    public let relativeError: Double
    public let frobeniusError: Double
    /// With the channel order.
    public let bitsPerWeight: Double
    public let bitsPerWeightWithoutOrder: Double
    public let bits: BitsPerWeight
    public let seconds: Double
    public let rounds: Int
    /// Seconds by step.
    public let steps: FitSteps
  }

  public let input: String
  public let weight: String
  public let gram: String
  public let options: FitOptions
  public let output: String?

  public init(input: String, weight: String, gram: String, options: FitOptions, output: String?) {
    self.input = input
    self.weight = weight
    self.gram = gram
    self.options = options
    self.output = output
  }

  /// - Throws: ``CheckpointError``, ``CRVQError`` naming the tensor at fault; ``CoordinatorError`` for an output that cannot be,
  ///   before the fit.
  public func run(team: ThreadTeam, progress: (Int, Double) -> Void) throws -> Result {
    if let output { try checkOutput(output) }
    let (w, h) = try matrices()
    // Handed over, not lent: the fit works in their memory.
    let fitted: FitResult
    do {
      fitted = try CRVQ.fit(
        weight: consume w, gram: consume h, options: options, streamKey: weight, team: team
      ) { round, error in
        progress(round, error)
        return true
      }
    } catch let error as CRVQError where error.kind == .input {
      throw CRVQError(.input, "\(input): \(weight) with \(gram): \(error.message)")
    }
    if let output { try write(fitted.packed, to: output) }
    return Result(
      relativeError: fitted.relativeError, frobeniusError: fitted.frobeniusError, bitsPerWeight: fitted.bits.total,
      bitsPerWeightWithoutOrder: fitted.bits.totalWithoutChannelOrder, bits: fitted.bits, seconds: fitted.seconds,
      rounds: fitted.rounds, steps: fitted.steps)
  }

  /// The file is closed when this returns, so that its pages do not count during the fit.
  private func matrices() throws -> (weight: Matrix, gram: Matrix) {
    let file = try SafetensorsFile(path: input)
    return (try matrix(weight, in: file), try matrix(gram, in: file))
  }

  private func matrix(_ name: String, in file: SafetensorsFile) throws -> Matrix {
    guard let shape = file.shape(of: name) else {
      let known = file.tensorNames.prefix(20).joined(separator: ", ")
      throw CheckpointError(.missing, path: file.path, "no tensor \(name); there are \(known)")
    }
    guard shape.count == 2, shape[0] > 0, shape[1] > 0 else {
      throw CheckpointError(.mismatch, path: file.path, "tensor \(name): expected a matrix, got shape \(shape)")
    }
    return Matrix(rows: shape[0], columns: shape[1], values: try file.floats(name, requireFinite: true))
  }

  /// What only the writing would find, when the fit is done; and that the weights are not written over.
  private func checkOutput(_ path: String) throws {
    var found = stat()
    if stat(path, &found) == 0 {
      guard found.st_mode & S_IFMT == S_IFREG else {
        throw CoordinatorError.usage("\(path): exists, and is no file; choose another --output")
      }
      if FileIdentity(path: path) == FileIdentity(path: input) {
        throw CoordinatorError.usage("\(path): is the file of --input; choose another --output")
      }
    }
    let parent = Directory.parent(of: path)
    if stat(parent, &found) != 0, errno == ENOENT {
      throw CoordinatorError.io("\(parent): no such directory; make it first, or choose another --output")
    }
    try AtomicFile.tryPlace(path)
  }

  private func write(_ packed: PackedLinear, to path: String) throws {
    let name = weight.hasSuffix(".weight") ? String(weight.dropLast(".weight".count)) : weight
    try packed.write(prefix: name, to: path)
  }
}
