import Numerics
import Transformer

/// The sequences of a tune in micro-batches of a fixed size: those that steps are taken on, and the last ones, for validation.
struct MicroBatches {
  let training: [Range<Int>]
  let validation: [Range<Int>]
  private let seed: UInt64

  /// With one sequence only, it serves both.
  init(_ states: HiddenStates, _ options: TuneOptions) {
    seed = options.seed
    let count = states.sequences
    let kept = max(1, count / options.validationShare)
    let size = max(1, options.positionsPerMicroBatch / states.length)
    func split(_ range: Range<Int>) -> [Range<Int>] {
      stride(from: range.lowerBound, to: range.upperBound, by: size).map { $0..<min(range.upperBound, $0 + size) }
    }
    training = split(0..<max(1, count - kept))
    validation = split(count - kept..<count)
  }

  /// The training batches in an order of their own for each epoch.
  func shuffled(epoch: Int) -> [Range<Int>] {
    var random = RandomStream(seed: seed, key: "tune epoch \(epoch)")
    return random.shuffled(training)
  }
}
