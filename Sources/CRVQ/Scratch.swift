import Numerics

/// Memory for one piece of rows, used by one thread at a time.
final class Scratch: Sendable {
  /// [rows, columns] each.
  let u: Buffer<Float>
  let e: Buffer<Float>
  let r: Buffer<Float>
  /// [rows, d] each.
  let queries: Buffer<Float>
  let partQueries: Buffer<Float>
  let chosen: Buffer<Float>
  let delta: Buffer<Float>
  /// The codewords of each codebook in a critical group, [codebooks, rows, d].
  let parts: Buffer<Float>
  let found: Buffer<UInt16>
  /// [rows, codebooks].
  let beamCodes: Buffer<UInt16>
  let scores: Buffer<Float>
  let inverseScales: Buffer<Float>

  init(rows: Int, columns: Int, d: Int, books: Int) {
    u = Buffer(rows * columns)
    e = Buffer(rows * columns)
    r = Buffer(rows * columns)
    queries = Buffer(rows * d)
    partQueries = Buffer(rows * d)
    chosen = Buffer(rows * d)
    delta = Buffer(rows * d)
    parts = Buffer(books * rows * d)
    found = Buffer(rows)
    beamCodes = Buffer(rows * books)
    scores = Buffer(rows)
    inverseScales = Buffer(rows)
  }
}
