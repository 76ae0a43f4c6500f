import Numerics

/// Everything a fit works on, in packed channel order and padded to whole groups: the problem (W, H), the unknowns (scales,
/// codebooks, codes), and tables derived from them.
///
/// Rows are split in pieces of ``grain`` rows whatever the thread count; every step writes a piece's rows from one thread
/// and sums what it has to sum in the order of pieces.
package final class FitState: Sendable {
  let shape: FitShape
  let rows: Int
  /// Padded: groups · d.
  let columns: Int
  let d: Int
  let groups: Int
  let critical: Int
  package let books: [Codebook]
  let team: ThreadTeam
  /// Hypotheses of the search for the codes of a critical group.
  let beamWidth: Int
  /// Rows of a piece.
  let grain: Int

  /// W, [rows, columns].
  let w: Buffer<Float>
  /// H over the mean of its diagonal, [columns, columns].
  let h: Buffer<Float>
  /// The diagonal blocks of H, [groups, d, d].
  let hBlocks: Buffer<Float>
  /// W·H, [rows, columns].
  let wh: Buffer<Float>
  /// w_o H w_oᵀ of every row.
  let energies: Buffer<Double>

  package let scales: Buffer<Float>
  package let codebooks: Buffer<Float>
  package let codes: Buffer<UInt16>

  /// Transposed codebooks, as the search wants them; follows ``codebooks`` by ``refreshTables()``.
  let tables: Buffer<Float>
  /// Norms of the codewords of each group's metric, by ``refreshNorms(metric:)``.
  let norms: Buffer<Float>
  /// (w-ŵ) H (w-ŵ)ᵀ of every row, by the scale step.
  package let rowErrors: Buffer<Double>

  let scratch: Pool<Scratch>

  var pieces: Int { (rows + grain - 1) / grain }

  /// - Parameters:
  ///   - w: W, [rows, columns], columns still as they came; see ``layOut(_:)``.
  ///   - h: H, [columns, columns], likewise.
  package init(_ shape: FitShape, w: Buffer<Float>, h: Buffer<Float>, beamWidth: Int, team: ThreadTeam) {
    self.beamWidth = beamWidth
    self.shape = shape
    self.w = w
    self.h = h
    self.team = team
    rows = shape.rows
    d = shape.d
    groups = shape.groups
    critical = shape.critical
    columns = shape.columns
    var books: [Codebook] = []
    var (offset, tableOffset, normOffset, codeOffset) = (0, 0, 0, 0)
    for (index, bits) in shape.format.storedBits(columns: shape.channels).enumerated() {
      let book = Codebook(
        index: index, count: 1 << bits, stride: Codewords.stride(1 << bits), groups: index == 0 ? groups : critical,
        offset: offset, tableOffset: tableOffset, normOffset: normOffset, codeOffset: codeOffset)
      books.append(book)
      offset += book.count * d
      tableOffset += book.stride * d
      normOffset += book.groups * book.stride
      codeOffset += rows * book.groups
    }
    self.books = books
    grain = Self.grain(rows: rows)
    hBlocks = Buffer(groups * d * d)
    wh = Buffer(rows * columns)
    energies = Buffer(rows)
    scales = Buffer(rows, filledWith: 0)
    codebooks = Buffer(offset, filledWith: 0)
    codes = Buffer(codeOffset, filledWith: 0)
    tables = Buffer(tableOffset)
    norms = Buffer(normOffset)
    rowErrors = Buffer(rows, filledWith: 0)
    scratch = Pool { [grain, columns, d, books] in
      Scratch(rows: grain, columns: columns, d: d, books: books.count)
    }
  }

  /// The most rows that a thread works on at a time.
  package static let grainMax = 128

  /// Enough rows that sgemm packs H rarely, enough pieces that threads end together.
  static func grain(rows: Int) -> Int { max(16, min(grainMax, (rows / 6 + 3) / 4 * 4)) }

  /// Bands of a sum over all rows, each of as many pieces, more or less.
  var bands: Int { min(PartialSums.maximumBands, pieces) }

  /// Runs `body` on every piece, band by band: pieces of a band come one after another.
  func forEachPieceByBand(_ body: (_ band: Int, _ rows: Range<Int>, _ scratch: Scratch) -> Void) {
    let (pieces, bands) = (pieces, bands)
    team.forEach(bands) { band in
      scratch.withElement { scratch in
        for piece in band * pieces / bands..<(band + 1) * pieces / bands {
          body(band, piece * grain..<min(rows, (piece + 1) * grain), scratch)
        }
      }
    }
  }

  /// Runs `body` on every piece with scratch memory of its own.
  func forEachPiece(_ body: (_ piece: Int, _ rows: Range<Int>, _ scratch: Scratch) -> Void) {
    forEachPiece(rows: rows, grain: grain, body)
  }

  /// Runs `body` on pieces of at most ``grain`` of other rows than all.
  func forEachPiece(rows: Int, grain: Int, _ body: (_ piece: Int, _ rows: Range<Int>, _ scratch: Scratch) -> Void) {
    team.forEachRange(rows, grain: grain) { range in
      scratch.withElement { body(range.lowerBound / grain, range, $0) }
    }
  }

  /// Copies the blocks of H on the diagonal, and computes W·H and the rows' energies.
  package func prepareProducts() {
    copyDiagonalBlocks(of: h, into: hBlocks)
    forEachPiece { _, range, _ in
      let n = columns
      let at = range.lowerBound * n
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, w.base + at, lda: n, h.base, ldb: n, wh.base + at, ldc: n)
      for row in range { energies.base[row] = Double(BLAS.sdot(n, w.base + row * n, wh.base + row * n)) }
    }
  }

  func copyDiagonalBlocks(of matrix: Buffer<Float>, into blocks: Buffer<Float>) {
    for g in 0..<groups {
      for t in 0..<d {
        (blocks.base + (g * d + t) * d).update(from: matrix.base + (g * d + t) * columns + g * d, count: d)
      }
    }
  }

  package func refreshTables() {
    for book in books {
      Codewords.makeTable(
        codebooks.base + book.offset, count: book.count, d: d, into: tables.base + book.tableOffset)
    }
  }

  /// Norms of every codeword under every group's metric; `metric` is [groups, d, d].
  func refreshNorms(metric: Buffer<Float>) {
    team.forEachRange(groups, grain: 8) { range in
      for g in range {
        for book in books where g < book.groups {
          Codewords.norms(
            table: tables.base + book.tableOffset, count: book.count, stride: book.stride, d: d,
            metric: metric.base + g * d * d, into: norms.base + book.normOffset + g * book.stride)
        }
      }
    }
  }

  /// The unscaled reconstruction of a row: Σ_j C_j[c_j].
  func reconstruct(row: Int, into u: UnsafeMutablePointer<Float>, from codebooks: UnsafePointer<Float>) {
    for book in books {
      Codewords.gather(
        codes.base + book.codeOffset + row * book.groups, groups: book.groups, codebook: codebooks + book.offset,
        d: d, accumulate: book.index > 0, into: u)
    }
  }

  /// U and E = W - diag(s)·U of a piece's rows, each [rows of the piece, columns].
  func residual(_ range: Range<Int>, u: UnsafeMutablePointer<Float>, e: UnsafeMutablePointer<Float>) {
    let n = columns
    for row in range {
      let at = (row - range.lowerBound) * n
      reconstruct(row: row, into: u + at, from: codebooks.base)
      (e + at).update(from: w.base + row * n, count: n)
      BLAS.saxpy(n, -scales.base[row], u + at, e + at)
    }
  }

  /// Σ over rows of (w-ŵ) H (w-ŵ)ᵀ over Σ w H wᵀ, as the last scale step left it.
  var relativeError: Double {
    var (lost, whole) = (0.0, 0.0)
    for row in 0..<rows {
      lost += rowErrors.base[row]
      whole += energies.base[row]
    }
    return EnergyLoss.share(lost, of: whole)
  }
}
