/// One codebook of a fit, and where its parts lie in the shared buffers of ``FitState``.
package struct Codebook: Sendable {
  package let index: Int
  /// Codewords.
  package let count: Int
  /// Codewords rounded up to whole vectors: a row of the table.
  let stride: Int
  /// Groups it covers: all for the first, the critical ones for the others.
  package let groups: Int
  /// Start in ``FitState/codebooks``, [count, d].
  package let offset: Int
  /// Start in ``FitState/tables``, [d, stride].
  let tableOffset: Int
  /// Start in ``FitState/norms``, [groups, stride].
  let normOffset: Int
  /// Start in ``FitState/codes``, [rows, groups].
  package let codeOffset: Int
}
