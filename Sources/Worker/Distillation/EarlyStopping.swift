/// Which epoch of a distillation was the best so far, and whether to go on.
package struct EarlyStopping: Sendable, Equatable {
  /// Of the validation sequences, before the first epoch and after each; mean over positions, nats.
  package private(set) var losses: [Float] = []
  /// Steps to come change nothing.
  package private(set) var isOver = false
  /// A loss was not a number: the packed blocks stay as they were.
  package private(set) var hasDiverged = false

  package init() {}

  /// The epoch of the smallest loss, the first of them; 0 if nothing was better than the packed blocks.
  package var bestEpoch: Int {
    hasDiverged ? 0 : losses.indices.dropFirst().reduce(0) { losses[$1] < losses[$0] ? $1 : $0 }
  }

  package var lossBefore: Float { losses.first ?? .nan }
  package var lossAfter: Float { hasDiverged || losses.isEmpty ? .nan : losses[bestEpoch] }

  /// Notes the loss after an epoch.
  ///
  /// - Parameter patience: epochs without a better one after which the rest is left out.
  package mutating func add(validation loss: Float, patience: Int) {
    if isOver { return }
    guard loss.isFinite else { return diverge() }
    losses.append(loss)
    isOver = losses.count - 1 - bestEpoch >= patience
  }

  /// Ends it: something was not a number.
  package mutating func diverge() {
    isOver = true
    hasDiverged = true
  }
}

extension EarlyStopping {
  /// As a tensor: two flags, and then the losses.
  package var values: [Float] { [isOver ? 1 : 0, hasDiverged ? 1 : 0] + losses }

  /// nil for what is none.
  package init?(values: [Float]) {
    guard values.count >= 2 else { return nil }
    isOver = values[0] != 0
    hasDiverged = values[1] != 0
    losses = Array(values.dropFirst(2))
  }
}
