import Foundation

extension WireInventory {
  /// Bytes of passes in one message: so many that a large cache takes few messages, and far from the limit of a payload.
  private static let pageBytes = 256 << 10

  /// What a worker's cache has, in as many messages as it takes; at least one.
  ///
  /// - Parameter predecessor: the process that had the cache before, if there was one.
  public static func pages(job: String, passes: [WireHeldPass], predecessor: Data?) -> [WireInventory] {
    var pages = groups(passes).map { passes in
      var page = WireInventory()
      page.jobID = job
      page.predecessor = predecessor ?? Data()
      page.passes = passes
      return page
    }
    pages[pages.count - 1].isLast = true
    for index in pages.indices { pages[index].crc32C = pages[index].checksum }
    return pages
  }

  private static func groups(_ passes: [WireHeldPass]) -> [[WireHeldPass]] {
    var groups: [[WireHeldPass]] = [[]]
    var bytes = 0
    for pass in passes {
      // Serializing fails for messages over 2 GiB only.
      let size = (try? pass.serializedData().count) ?? 0
      if bytes + size > pageBytes || groups[groups.count - 1].count == WireLimit.passes {
        groups.append([])
        bytes = 0
      }
      groups[groups.count - 1].append(pass)
      bytes += size
    }
    return groups
  }

  /// What ``crc32C`` must be.
  var checksum: UInt32 {
    var message = self
    message.crc32C = 0
    let bytes = (try? message.serializedData()) ?? Data()
    return bytes.withUnsafeBytes { CRC32C.of($0) }
  }
}
