import Foundation
import Messaging
import TestSupport
import Testing
import Worker

@Suite struct TaskInputsTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func inputs(_ artifacts: [Artifact], in store: ArtifactStore) -> TaskInputs {
    let inputs = artifacts.enumerated().map { index, artifact in
      var input = WireInputArtifact()
      input.ref = WireArtifactRef(name: "packed", artifact)
      input.index = UInt32(index)
      return input
    }
    return TaskInputs(store: store, inputs: inputs, lease: 1, copies: InputCopies(in: store)) {
      artifact, _ throws(ArtifactError) in
      throw .notFound(artifact.digest, directory: "nowhere")
    }
  }

  /// Flips a bit.
  private func spoil(_ artifact: Artifact) throws {
    let path = "\(directory.path)/\(artifact.digest.hex)"
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[bytes.startIndex] ^= 1
    try bytes.overwrite(fileAt: path)
  }

  /// With one at a time, each would cost an attempt at the task.
  @Test func allThatWasSpoiltIsFoundAtOnce() throws {
    let store = try ArtifactStore(directory: directory.path, durability: .cache)
    let artifacts = try (0..<4).map { try store.put(Data(repeating: $0, count: 100)) }
    let inputs = inputs(artifacts, in: store)
    try inputs.confirm()
    try spoil(artifacts[1])
    try spoil(artifacts[2])
    #expect {
      try inputs.confirm()
    } throws: {
      if case ArtifactError.corrupted(_, artifacts[1].digest, _) = $0 { true } else { false }
    }
    #expect(artifacts.map { store.contains($0.digest) } == [true, false, false, true])
    // What is not there can do no harm: it is fetched before it is used.
    try inputs.confirm()
  }
}
