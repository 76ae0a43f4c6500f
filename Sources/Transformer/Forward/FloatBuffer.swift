/// Uninitialised working memory, owned: activations that live as long as one step of the forward pass.
final class FloatBuffer {
  let start: UnsafeMutablePointer<Float>
  let count: Int

  /// Memory for `count` values, not set to anything.
  init(count: Int) {
    self.count = count
    start = .allocate(capacity: max(count, 1))
  }

  deinit { start.deallocate() }
}
