import Foundation

/// An artifact whose bytes lie in several places one after another.
public struct PiecewiseArtifact: ReadableArtifact {
  public enum Piece: Sendable {
    case memory([UInt8])
    case file(OpenFile, Range<UInt64>)

    var count: UInt64 {
      switch self {
      case .memory(let bytes): UInt64(bytes.count)
      case .file(_, let range): UInt64(range.count)
      }
    }
  }

  public let artifact: Artifact
  private let pieces: [Piece]

  public init(_ artifact: Artifact, _ pieces: [Piece]) {
    self.artifact = artifact
    self.pieces = pieces
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ArtifactError) {
    var rest = buffer
    var (position, start) = (offset, UInt64(0))
    for piece in pieces where !rest.isEmpty {
      defer { start += piece.count }
      let inside = position - start
      if inside >= piece.count { continue }
      let count = Int(min(piece.count - inside, UInt64(rest.count)))
      let part = UnsafeMutableRawBufferPointer(rebasing: rest[..<count])
      switch piece {
      case .memory(let bytes): part.copyBytes(from: bytes[Int(inside)..<Int(inside) + count])
      case .file(let file, let range): try file.read(into: part, at: range.lowerBound + inside)
      }
      rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
      position += UInt64(count)
    }
    if !rest.isEmpty {
      throw .wrongSize(path: "artifact \(artifact.digest.short)", expected: artifact.size, found: start)
    }
  }
}
