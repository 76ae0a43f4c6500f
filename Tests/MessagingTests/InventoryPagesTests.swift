import Foundation
import Messaging
import Testing

@Suite struct InventoryPagesTests {
  @Test func thousandsOfPassesFitIntoMessages() throws {
    let passes = (0..<20_000).map { index in
      var pass = WireHeldPass()
      pass.task = Sample.task(.recollect, block: UInt32(index / 100), shard: UInt32(index % 100))
      pass.outputs = (0..<6).map { WireArtifactRef(name: "gram/mlp_hidden \($0)", Sample.artifact) }
      return pass
    }
    let pages = WireInventory.pages(job: "job", passes: passes, predecessor: Data(0..<16))
    #expect(pages.flatMap(\.passes) == passes)
    #expect(pages.map(\.isLast) == pages.indices.map { $0 == pages.count - 1 })
    for page in pages {
      let frames = try WorkerMessage.inventory(page).frames()
      #expect(try WorkerMessage(frames: frames) == .inventory(page))
    }
    #expect(WireInventory.pages(job: "job", passes: [], predecessor: nil).map(\.isLast) == [true])
  }
}
