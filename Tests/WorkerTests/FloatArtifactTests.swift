import Foundation
import Messaging
import TestSupport
import Testing
import Worker

@Suite struct FloatArtifactTests {
  private let directory: TemporaryDirectory
  private let store: ArtifactStore

  init() throws {
    directory = try TemporaryDirectory()
    store = try ArtifactStore(directory: directory.path, durability: .cache)
  }

  @Test func valuesAndSizesComeBack() throws {
    let values: [Float] = [1, -0, .pi, .leastNonzeroMagnitude]
    let artifact = try FloatArtifact.put(.gram, sizes: (2, 7, 0), values, into: store)
    let read = try FloatArtifact(.gram, artifact.digest, in: store)
    #expect(read.sizes == (2, 7, 0))
    #expect(read.values.map(\.bitPattern) == values.map(\.bitPattern))
  }

  @Test func anotherTagIsRefused() throws {
    let artifact = try FloatArtifact.put(.hidden, sizes: (1, 1, 1), [0], into: store)
    #expect(throws: TaskError.self) { try FloatArtifact(.gram, artifact.digest, in: store) }
  }

  @Test(arguments: [0, 7, 31, 33]) func aTruncatedArtifactIsRefused(length: Int) throws {
    let bytes = Array("crvqgram".utf8) + [UInt8](repeating: 0, count: 64)
    let artifact = try store.put(Array(bytes.prefix(length)))
    #expect(throws: TaskError.self) { try FloatArtifact(.gram, artifact.digest, in: store) }
  }

  @Test func sizesOutOfRangeAreRefused() throws {
    let artifact = try store.put(Array("crvqgram".utf8) + [UInt8](repeating: 0xff, count: 24))
    #expect(throws: TaskError.self) { try FloatArtifact(.gram, artifact.digest, in: store) }
  }
}
