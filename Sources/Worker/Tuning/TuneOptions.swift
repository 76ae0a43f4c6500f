/// How a block is tuned. All of it decides bytes; the number of epochs is the job's, the rest this release's.
package struct TuneOptions: Sendable, Equatable {
  /// Passes over the sequences tuned on, at most.
  package var epochs: Int
  /// The first step of each kind of parameter, as a share of the root mean square of the tensor it belongs to: the same
  /// numbers serve models whose weights differ by orders of magnitude.
  package var codebookRate: Float = 0.01
  package var scaleRate: Float = 0.005
  package var normRate: Float = 0.005
  package var biasRate: Float = 0.005
  /// Adam's decay of the mean and of the mean square (Kingma and Ba, arXiv 1412.6980; the values are the published method's).
  package var firstDecay: Float = 0.9
  package var secondDecay: Float = 0.95
  /// Micro-batches a step.
  package var batch = 2
  /// Steps over which the rate rises from near nothing; then it falls along a cosine.
  package var warmUpSteps = 4
  /// Epochs without a better validation loss after which the tune ends.
  package var patience = 3
  /// Seed of the order in which sequences are taken.
  package var seed: UInt64 = 0

  package init(epochs: Int) { self.epochs = epochs }
}
