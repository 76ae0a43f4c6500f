import Foundation
import Numerics

/// The tensors of a small safetensors file, all in memory: benchmark inputs only.
struct ReferenceBlock {
  private let header: [String: Any]
  private let data: Data

  init(path: String) throws {
    let file = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = Int(file.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) })
    header = try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any] ?? [:]
    data = file.subdata(in: 8 + length..<file.count)
  }

  func matrix(_ name: String) -> Matrix {
    guard let entry = header[name] as? [String: Any], let shape = entry["shape"] as? [Int],
      let offsets = entry["data_offsets"] as? [Int], let type = entry["dtype"] as? String
    else { preconditionFailure("no tensor \(name)") }
    let bytes = data[offsets[0]..<offsets[1]]
    let count = shape.reduce(1, *)
    let values: [Float] =
      type == "F16"
      ? Half.widen(
        bytes.withUnsafeBytes { raw in (0..<count).map { raw.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self) } })
      : bytes.withUnsafeBytes { raw in (0..<count).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) } }
    return Matrix(rows: shape[0], columns: shape[1], values: values)
  }
}
