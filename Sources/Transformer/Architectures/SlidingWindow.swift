import Checkpoint

/// How many tokens back a position sees, in architectures that limit it.
enum SlidingWindow {
  /// What transformers takes where a configuration does not say.
  private static let usual = 4096

  /// nil for a window that the configuration says there is not.
  static func length(_ config: ModelConfig) -> Int? {
    switch config.document["sliding_window"] {
    case .null?: nil
    case let value?: value.integer ?? usual
    case nil: usual
    }
  }
}
