import Checkpoint

/// How many tokens back a position sees, in architectures that limit it.
enum SlidingWindow {
  /// What transformers takes where a configuration does not say.
  private static let usual = 4096

  /// nil for a window that the configuration says there is not.
  ///
  /// - Throws: ``CheckpointError`` for one that cannot be.
  static func length(_ config: ModelConfig) throws -> Int? { try config.slidingWindow(usual: usual) }
}
