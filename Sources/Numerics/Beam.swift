import CKernels

/// The beam search for additive codes of one group. Single-threaded, without allocation.
package enum Beam {
  /// The widest beam.
  package static let maximumWidth = Int(CRVQ_MAXIMUM_BEAM)

  /// A codebook [count, d], its table, and the norms of its codewords under the group's metric, [stride].
  package struct Codebook {
    fileprivate let raw: crvq_codebook

    package init(
      _ codebook: UnsafePointer<Float>, table: UnsafePointer<Float>, norms: UnsafePointer<Float>, stride: Int
    ) {
      raw = crvq_codebook(codebook: codebook, table: table, norms: norms, stride: stride)
    }
  }

  /// Minimises q A qᵀ - 2⟨query, q⟩ over q = Σ_j C_j[c_j] for `n` queries [n, d] by a beam over the codebooks.
  ///
  /// - Parameters:
  ///   - codes: receives the codes, [n, codebooks].
  ///   - costs: receives the minima found, [n].
  package static func search(
    _ queries: UnsafePointer<Float>, n: Int, d: Int, metric a: UnsafePointer<Float>, codebooks: [Codebook],
    width: Int, codes: UnsafeMutablePointer<UInt16>, costs: UnsafeMutablePointer<Float>
  ) {
    codebooks.withUnsafeBufferPointer { books in
      // A structure of one member lies in memory as that member does.
      books.withMemoryRebound(to: crvq_codebook.self) { raw in
        crvq_beam_codewords(queries, n, d, a, raw.baseAddress, raw.count, width, codes, costs)
      }
    }
  }
}
