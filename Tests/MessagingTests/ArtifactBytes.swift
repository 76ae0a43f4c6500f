import Foundation
import Messaging

/// All bytes of an artifact, read through the file that is open.
func bytes(_ file: ArtifactFile) throws -> Data {
  var data = Data(count: Int(file.artifact.size))
  try data.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
  return data
}
