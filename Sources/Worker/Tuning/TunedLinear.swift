import CRVQ
import Numerics

/// A packed linear whose codebooks and scales are being tuned, its codes fixed.
package struct TunedLinear: Sendable {
  package let packed: PackedLinear
  /// [codewords, d] each.
  package var codebooks: [TunedVector]
  /// [rows].
  package var scales: TunedVector

  /// Rows that one piece of the gradient covers at least; few pieces, because each has codebooks of its own to sum into.
  private static let grainMin = 64
  private static let piecesMax = 32

  package init(_ packed: PackedLinear, _ options: TuneOptions) {
    self.packed = packed
    let d = packed.format.groupSize
    let wide = Half.widen(packed.codebooks)
    var start = 0
    codebooks = packed.storedBits.map { bits in
      let count = d << bits
      defer { start += count }
      return TunedVector(Array(wide[start..<start + count]), relativeRate: options.codebookRate)
    }
    scales = TunedVector(Half.widen(packed.scales), relativeRate: options.scaleRate)
  }

  private var d: Int { packed.format.groupSize }
  private var packedWidth: Int { packed.groups * d }

  /// Ŵ from the values as they are, not rounded, [rows, columns] in the original channel order.
  package func weight(team: ThreadTeam) -> Matrix {
    let (rows, columns) = (packed.rows, packed.columns)
    let pool = Pool(count: packedWidth)
    let values = [Float](unsafeUninitializedCapacity: rows * columns) { output, count in
      nonisolated(unsafe) let output = output
      team.forEachRange(rows, grain: Self.grainMin) { range in
        pool.withBuffer { unscaled in
          for row in range {
            gather(row, into: unscaled)
            let scale = scales.values[row]
            packed.channelOrder.withUnsafeBufferPointer { order in
              for position in 0..<columns { output[row * columns + Int(order[position])] = scale * unscaled[position] }
            }
          }
        }
      }
      count = rows * columns
    }
    return Matrix(rows: rows, columns: columns, values: values)
  }

  /// Σ_j C_j[c_j] of one row in packed order, before the scale.
  private func gather(_ row: Int, into unscaled: UnsafeMutablePointer<Float>) {
    for (index, codebook) in codebooks.enumerated() {
      withCodes(row, of: index) { codes, groups in
        codebook.values.withUnsafeBufferPointer { codebook in
          guard let codebook = codebook.baseAddress else { return }
          Codewords.gather(codes, groups: groups, codebook: codebook, d: d, accumulate: index > 0, into: unscaled)
        }
      }
    }
  }

  private func withCodes(_ row: Int, of codebook: Int, _ body: (UnsafePointer<UInt16>, Int) -> Void) {
    let groups = codebook == 0 ? packed.groups : packed.criticalGroups
    let codes = codebook == 0 ? packed.codes : packed.criticalCodes[codebook - 1]
    codes.withUnsafeBufferPointer { codes in
      if let start = codes.baseAddress { body(start + row * groups, groups) }
    }
  }

  /// Adds what a weight gradient means for codebooks and scales to their gradients: the transpose of ``weight(team:)``.
  ///
  ///     ∂/∂s_o = Σ_p g_op U_op        ∂/∂C_j[k] = Σ over (o, group) with code k of s_o · g_o,group
  ///
  /// - Parameter gradient: ∂loss/∂Ŵ, [rows, columns] in the original channel order.
  package mutating func add(weightGradient gradient: UnsafePointer<Float>, team: ThreadTeam) {
    let rows = packed.rows
    let grain = max(Self.grainMin, (rows + Self.piecesMax - 1) / Self.piecesMax)
    let pieces = (rows + grain - 1) / grain
    let starts = codebooks.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.values.count) }
    let size = starts[codebooks.count]
    let sums = Buffer<Float>(pieces * size, filledWith: 0)
    let scaleSums = Buffer<Float>(rows)
    // A pointer does not keep its buffer.
    defer { withExtendedLifetime((sums, scaleSums)) {} }
    let pool = Pool(count: 2 * packedWidth)
    team.forEachRange(rows, grain: grain) { range in
      pool.withBuffer { scratch in
        let sum = sums.base + range.lowerBound / grain * size
        for row in range {
          scaleSums.base[row] = scatter(row, gradient + row * packed.columns, scratch, starts, into: sum)
        }
      }
    }
    // Pieces in order, whichever thread made them.
    for piece in 0..<pieces {
      for (index, start) in starts.dropLast().enumerated() {
        BLAS.saxpy(codebooks[index].gradient.count, 1, sums.base + piece * size + start, &codebooks[index].gradient)
      }
    }
    BLAS.saxpy(rows, 1, scaleSums.base, &scales.gradient)
  }

  /// - Returns: The gradient of the row's scale.
  private func scatter(
    _ row: Int, _ gradient: UnsafePointer<Float>, _ scratch: UnsafeMutablePointer<Float>, _ starts: [Int],
    into sums: UnsafeMutablePointer<Float>
  ) -> Float {
    let (unscaled, ordered) = (scratch, scratch + packedWidth)
    gather(row, into: unscaled)
    packed.channelOrder.withUnsafeBufferPointer { order in
      for position in 0..<packed.columns { ordered[position] = gradient[Int(order[position])] }
    }
    // Padding is cut off by decoding, so nothing depends on it.
    for position in packed.columns..<packedWidth { ordered[position] = 0 }
    for index in codebooks.indices {
      withCodes(row, of: index) { codes, groups in
        Codewords.scatter(
          codes, groups: groups, ordered, d: d, factor: scales.values[row], into: sums + starts[index])
      }
    }
    return BLAS.sdot(packed.columns, ordered, unscaled)
  }

  /// Takes codebooks and scales from elsewhere.
  ///
  /// - Parameters:
  ///   - values: of a tensor, by its name and their number.
  ///   - path: of the linear, in front of the names of its tensors.
  /// - Throws: what `values` throws.
  mutating func replaceValues(_ values: (String, Int) throws -> [Float], path: String) throws {
    let valueCount = codebooks.reduce(0) { $0 + $1.values.count }
    var rest = try values(PackedPart.codebooks.name(of: path), valueCount)[...]
    for index in codebooks.indices {
      let count = codebooks[index].values.count
      codebooks[index].replace(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    scales.replace(try values(PackedPart.scales.name(of: path), scales.values.count))
  }

  /// One step of all parameters.
  package mutating func descend(step: Int, strength: Float, _ options: TuneOptions) {
    for index in codebooks.indices { codebooks[index].descend(step: step, strength: strength, options) }
    scales.descend(step: step, strength: strength, options)
  }

  /// The linear as it would be stored now.
  ///
  /// - Throws: ``CRVQError`` if a value is not finite in binary16.
  package func rounded(name: String) throws -> PackedLinear {
    try PackedLinear(
      name: name, format: packed.format, rows: packed.rows, columns: packed.columns, codes: packed.codes,
      criticalCodes: packed.criticalCodes, codebooks: codebooks.flatMap(\.rounded), scales: scales.rounded,
      channelOrder: packed.channelOrder)
  }
}
