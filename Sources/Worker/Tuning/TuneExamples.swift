import Transformer

/// What a block sees and what it should make of it, sequence by sequence.
package struct TuneExamples: Sendable {
  package let inputs: HiddenStates
  package let targets: HiddenStates

  /// Both of the same sizes.
  package init(inputs: HiddenStates, targets: HiddenStates) {
    precondition(inputs.values.count == targets.values.count, "every input has a target")
    self.inputs = inputs
    self.targets = targets
  }
}
