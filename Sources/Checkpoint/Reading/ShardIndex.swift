/// `model.safetensors.index.json`: which file of the directory holds which tensor.
struct ShardIndex {
  /// The longest index that is read.
  static let byteCountMax = 100_000_000
  /// The most files a model may have: each is a mapping, and Linux allows a process 65,530.
  static let fileCountMax = 10_000

  let fileOfTensor: [String: String]
  /// Sorted, each once.
  let fileNames: [String]

  /// - Throws: ``CheckpointError``: missing, io, or malformed with the offending entry named.
  init(path: String) throws {
    func malformed(_ message: String) -> CheckpointError { CheckpointError(.malformed, path: path, message) }
    let document: JSONValue
    do {
      document = try JSONValue(parsing: AtomicFile.read(path, byteCountMax: Self.byteCountMax))
    } catch let error as JSONSyntaxError {
      throw malformed("\(error)")
    }
    guard let map = document["weight_map"]?.object else {
      let found = document["weight_map"]?.shown ?? "nothing"
      throw malformed("weight_map: expected an object of tensor and file names, got \(found)")
    }
    var fileOfTensor: [String: String] = [:]
    for (tensor, value) in map.sorted(by: { $0.key < $1.key }) {
      guard let fileName = value.string else {
        throw malformed("weight_map, \(tensor): expected a file name, got \(value.shown)")
      }
      guard Self.isPlainFileName(fileName) else {
        throw malformed("weight_map, \(tensor): expected a file of this directory, got \(value.shown)")
      }
      fileOfTensor[tensor] = fileName
    }
    self.fileOfTensor = fileOfTensor
    fileNames = Set(fileOfTensor.values).sorted()
    if fileNames.isEmpty { throw malformed("weight_map: expected at least one tensor, got none") }
    if fileNames.count > Self.fileCountMax {
      throw malformed("weight_map: expected at most \(Self.fileCountMax) files, got \(fileNames.count)")
    }
  }

  /// An index comes with the model, from anywhere: it must not make us open files elsewhere.
  private static func isPlainFileName(_ name: String) -> Bool {
    name.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") && $0 >= 0x20 }
      && name.hasSuffix(".safetensors") && !name.hasPrefix(".")
  }
}
