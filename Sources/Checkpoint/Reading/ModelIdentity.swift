extension Checkpoint {
  /// What tells one model from another without reading its weights: the configuration, and the name, size and header of
  /// every weight file. Digests of these bytes are compared between machines.
  public func identityBytes(_ config: ModelConfig) -> [UInt8] {
    var bytes = Array(config.configJSON(adding: config.quantization ?? .null).utf8)
    for shard in shards {
      let name = shard.path.split(separator: "/").last.map(String.init) ?? ""
      bytes += Array("\n\(name) \(shard.byteCount)\n".utf8)
      shard.withHeaderBytes { bytes += Array($0) }
    }
    return bytes
  }
}
