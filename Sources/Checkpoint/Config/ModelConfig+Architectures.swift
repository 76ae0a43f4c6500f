/// Keys that mean something in some architectures only, or mean another thing in each where they are absent.
extension ModelConfig {
  /// `num_key_value_heads`, of architectures that have a number of their own where nothing is said.
  ///
  /// - Parameter usual: that number. A null is as many as there are query heads.
  /// - Throws: ``CheckpointError`` of kind mismatch if it does not divide the query heads.
  public func keyValueHeads(usual: Int) throws -> Int {
    if document["num_key_value_heads"] != nil { return keyValueHeadCount }
    if headCount % usual != 0 {
      throw reader.mismatch(
        "num_key_value_heads", "a divisor of num_attention_heads (\(headCount))",
        "nothing, which is \(usual) in this architecture")
    }
    return usual
  }

  /// `use_sliding_window`, of architectures that have both ways.
  ///
  /// - Throws: ``CheckpointError`` of kind mismatch for what is neither true nor false.
  public func usesSlidingWindow() throws -> Bool { try reader.flag("use_sliding_window", default: false) }

  /// `sliding_window`, in tokens: how many tokens back a position sees.
  ///
  /// - Parameter usual: what a configuration means that does not say.
  /// - Returns: nil for a null, by which it says that there is no limit.
  /// - Throws: ``CheckpointError`` of kind mismatch for what is no number of tokens.
  public func slidingWindow(usual: Int) throws -> Int? {
    if document["sliding_window"] == .null { return nil }
    return try reader.integerIfPresent("sliding_window", Self.positionLimits) ?? usual
  }

  /// Whether a window limits any block, of architectures in which some see everything: those that `layer_types` names
  /// so or, where it is absent, those before `max_window_layers`.
  ///
  /// - Parameter usual: `max_window_layers` of a configuration that does not say.
  /// - Throws: ``CheckpointError`` of kind mismatch for another list than one of the two types for each block, or no
  ///   number of blocks.
  public func hasSlidingBlocks(usual: Int) throws -> Bool {
    guard reader.has("layer_types") else {
      let first = try reader.integerIfPresent("max_window_layers", 0...Self.positionLimits.upperBound) ?? usual
      return first < blockCount
    }
    let types = try reader.textList("layer_types")
    let (full, sliding) = ("full_attention", "sliding_attention")
    guard types.count == blockCount else {
      throw reader.mismatch("layer_types", "as many as num_hidden_layers (\(blockCount))", "\(types.count)")
    }
    if let other = types.first(where: { $0 != full && $0 != sliding }) {
      throw reader.mismatch("layer_types", "\(full) or \(sliding) for each layer", JSONValue.quoted(other))
    }
    return types.contains(sliding)
  }

  private var reader: ConfigReader { ConfigReader(path: path, members: document.object ?? [:]) }
}
