import Foundation
import Messaging
import TestSupport
import Testing
import Worker

@Suite struct InputCopiesTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func withStore(_ body: (ArtifactStore) throws -> Void) throws {
    try body(ArtifactStore(directory: directory.path, durability: .cache))
  }

  private func bytes(_ value: UInt8) -> Data { Data(repeating: value, count: 100) }
  private func artifact(_ value: UInt8) -> Artifact { Artifact(digest: .of(bytes(value)), size: 100) }

  /// As a task does: claims, then fetches if it is not there.
  private func use(_ value: UInt8, _ lease: UInt64, _ copies: InputCopies, _ store: ArtifactStore) throws {
    copies.claim(artifact(value), for: lease)
    if !store.contains(artifact(value).digest) { try store.put(bytes(value)) }
  }

  private func held(_ store: ArtifactStore) -> Set<UInt8> {
    Set((0..<20).filter { store.contains(artifact($0).digest) })
  }

  @Test func copiesStayWhileTheirTaskIsInHandHoweverLarge() throws {
    try withStore { store in
      let copies = InputCopies(in: store, idleBytesMax: 0)
      for value in 0..<4 { try use(UInt8(value), 1, copies, store) }
      try use(1, 2, copies, store)
      #expect(held(store) == [0, 1, 2, 3])
      copies.release(1)
      #expect(held(store) == [1])
      copies.release(2)
      #expect(held(store) == [])
    }
  }

  @Test func thoseNotUsedForLongestGoFirst() throws {
    try withStore { store in
      let copies = InputCopies(in: store, idleBytesMax: 250)
      for (lease, values) in [(1, [0, 1, 2]), (2, [0]), (3, [3])] as [(UInt64, [UInt8])] {
        for value in values { try use(value, lease, copies, store) }
        copies.release(lease)
      }
      #expect(held(store) == [0, 3])
    }
  }

  /// A disk that takes the next write only when there is less on it.
  @Test func whatIsWrittenComesBeforeIdleCopies() throws {
    let path = directory.path
    var calls = FileCalls.system
    calls.write = { descriptor, bytes, count in
      let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      if files.filter({ Digest(hex: $0) != nil }).count < 5 { return write(descriptor, bytes, count) }
      errno = ENOSPC
      return -1
    }
    let store = try ArtifactStore(directory: path, durability: .cache, calls: calls)
    let copies = InputCopies(in: store, idleBytesMax: 1000)
    try store.put(bytes(9))
    for value in 0..<4 { try use(UInt8(value), UInt64(value / 2), copies, store) }
    copies.release(0)
    #expect(held(store) == [0, 1, 2, 3, 9])
    try store.put(bytes(10))
    #expect(held(store) == [2, 3, 9, 10])
    try store.put(bytes(11))
    // There is nothing more to let go.
    #expect { try store.put(bytes(12)) } throws: { if case ArtifactError.outOfSpace = $0 { true } else { false } }
    #expect(held(store) == [2, 3, 9, 10, 11])
  }

  @Test func whatWasMadeHereStays() throws {
    try withStore { store in
      let copies = InputCopies(in: store, idleBytesMax: 0)
      try store.put(bytes(0))
      for value in 0..<2 { try use(UInt8(value), 1, copies, store) }
      // The same again, of this worker's making.
      copies.disown([artifact(1).digest])
      copies.release(1)
      #expect(held(store) == [0, 1])
    }
  }
}
