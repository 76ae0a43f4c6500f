import JobGraph
import Messaging
import Numerics
import Synchronization
import Transformer

/// Sums the partial Grams of a site, and keeps the last sum: the linears of a site come one after another.
final class GramSource: Sendable {
  private struct Entry {
    let digests: [Digest]
    let gram: Matrix
  }

  private let last = Mutex<Entry?>(nil)

  /// H = XᵀX / n of what the linear sees, over the shards of the inputs, added in shard order, [in, in] symmetric.
  ///
  /// - Throws: ``TaskError``, ``TransformerError``.
  func gram(of linear: LinearSpec, _ inputs: TaskInputs, control: TaskControl) throws -> Matrix {
    let partials = inputs.all(ArtifactRef.gramName(linear.site.rawValue))
    let digests = partials.compactMap { $0.ref.artifact?.digest }
    if let entry = last.withLock({ $0 }), entry.digests == digests { return entry.gram }
    let gram = try sum(partials, width: linear.inFeatures, inputs, control: control)
    last.withLock { $0 = Entry(digests: digests, gram: gram) }
    return gram
  }

  /// As ``gram(of:_:control:)`` of some of the inputs, and not kept.
  func sum(_ partials: [WireInputArtifact], width: Int, _ inputs: TaskInputs, control: TaskControl) throws -> Matrix {
    var total: GramTotal?
    for input in partials {
      try control.progress("Gram of shard \(input.index)")
      let artifact = try FloatArtifact(.gram, inputs.fetch(input), in: inputs.store)
      guard artifact.sizes.0 == width else {
        throw TaskError.other("Gram of shard \(input.index): expected a width of \(width), got \(artifact.sizes.0)")
      }
      let partial = try PartialGram(width: artifact.sizes.0, tokenCount: artifact.sizes.1, upper: artifact.values)
      var sum = total ?? GramTotal(width: partial.width)
      total = nil
      try sum.add(partial)
      total = sum
    }
    guard let total else { throw TaskError.other("the task came without Grams") }
    return try total.normalized()
  }
}
