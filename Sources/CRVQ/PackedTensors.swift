import Checkpoint
import Numerics

/// The tensors of a packed model: a packed linear's `P.weight` is decoded when it is read, all else passes through.
public struct PackedTensors: TensorSource {
  private let packed: any StoredTensorSource
  private let others: any TensorSource
  private let format: PackedFormat
  private var team: ThreadTeam

  public let tensorNames: [String]

  /// Packed linears from one place, everything else from another: a block while the job is running.
  ///
  /// - Parameters:
  ///   - packed: the packed linears; where it has other tensors (tuned norms), it has them for good.
  ///   - others: its weights of packed linears are not used.
  ///   - team: of the one who reads.
  public init(packed: some StoredTensorSource, others: any TensorSource, format: PackedFormat, team: ThreadTeam) {
    self.init(raw: packed, names: packed.tensorNames, others: others, format: format, team: team)
  }

  /// A packed model, wherever its tensors are. Decodes on the thread that reads: several may share a model, but not a team.
  ///
  /// - Throws: ``CRVQError`` if the configuration's `quantization_config` is not this method's.
  public init(_ model: some StoredTensorSource, config: ModelConfig) throws {
    let format = try QuantizationConfig(config).format
    self.init(
      raw: model, names: model.tensorNames, others: model, format: format, team: ThreadTeam(threads: 1))
  }

  private init(
    raw: any StoredTensorSource, names: [String], others: any TensorSource, format: PackedFormat, team: ThreadTeam
  ) {
    packed = raw
    self.others = others
    self.format = format
    self.team = team
    let suffix = PackedPart.codes.suffix
    let prefixes = names.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }
    let parts = prefixes.flatMap(PackedPart.names)
    tensorNames = Set(others.tensorNames).subtracting(parts).union(prefixes.map { $0 + ".weight" }).sorted()
  }

  /// The same tensors for one reader, decoded by its team.
  public func decoded(by team: ThreadTeam) -> PackedTensors {
    var copy = self
    copy.team = team
    return copy
  }

  /// The modules that are packed: "model.layers.0.self_attn.q_proj", sorted.
  public var packedPrefixes: [String] { tensorNames.compactMap(prefix) }

  /// The module whose packed weight this is, or nil for a tensor that is stored as it is.
  private func prefix(_ name: String) -> String? {
    guard name.hasSuffix(".weight") else { return nil }
    let prefix = String(name.dropLast(".weight".count))
    return packed.shape(of: PackedPart.codes.name(of: prefix)) == nil ? nil : prefix
  }

  public func shape(of name: String) -> [Int]? {
    guard let prefix = prefix(name) else { return source(of: name).shape(of: name) }
    guard let rows = packed.shape(of: PackedPart.scales.name(of: prefix))?.first,
      let columns = packed.shape(of: PackedPart.channelOrder.name(of: prefix))?.first
    else { return nil }
    return [rows, columns]
  }

  /// One packed linear.
  ///
  /// - Throws: ``CRVQError`` naming the tensor that is not what the format asks for.
  public func linear(_ prefix: String) throws -> PackedLinear {
    try PackedLinear(prefix: prefix, format: format) { name in
      guard packed.shape(of: name) != nil else { return nil }
      let info = try packed.info(name)
      let bytes = try packed.withBytes(name) { Array($0) }
      return PackedTensor(name: name, type: info.elementType, shape: info.shape, bytes: bytes)
    }
  }

  public func floats(_ name: String) throws -> [Float] {
    guard let prefix = prefix(name) else { return try source(of: name).floats(name) }
    return try linear(prefix).decode(team: team).values
  }

  public func finiteFloats(_ name: String) throws -> [Float] {
    guard prefix(name) != nil else { return try source(of: name).finiteFloats(name) }
    let values = try floats(name)
    try checkFinite(values, of: name)
    return values
  }

  public func floats(_ name: String, rows: Range<Int>) throws -> [Float] {
    guard prefix(name) != nil else { return try source(of: name).floats(name, rows: rows) }
    return try slices(rows, ofWhole: name)
  }

  public func path(of name: String) -> String {
    prefix(name).map { packed.path(of: PackedPart.codes.name(of: $0)) } ?? source(of: name).path(of: name)
  }

  /// Where a tensor that is stored as it is comes from.
  private func source(of name: String) -> any TensorSource { packed.shape(of: name) == nil ? others : packed }
}
