/// How many tokens back a position sees. Asked for by architectures that limit it; in the others these keys mean nothing.
extension ModelConfig {
  /// `use_sliding_window`, of architectures that have both ways.
  ///
  /// - Throws: ``CheckpointError`` of kind mismatch for what is neither true nor false.
  public func usesSlidingWindow() throws -> Bool { try reader.flag("use_sliding_window", default: false) }

  /// `sliding_window`, in tokens.
  ///
  /// - Parameter usual: what a configuration means that does not say.
  /// - Returns: nil for a null, by which it says that there is no limit.
  /// - Throws: ``CheckpointError`` of kind mismatch for what is no number of tokens.
  public func slidingWindow(usual: Int) throws -> Int? {
    if document["sliding_window"] == .null { return nil }
    return try reader.integerIfPresent("sliding_window", Self.positionLimits) ?? usual
  }

  private var reader: ConfigReader { ConfigReader(path: path, members: document.object ?? [:]) }
}
