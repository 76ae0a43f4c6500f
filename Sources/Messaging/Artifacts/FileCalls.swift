import Foundation

/// The system calls that make a file durable, as values, so that a test can let the N-th one fail.
package struct FileCalls: Sendable {
  package var write: @Sendable (_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int
  package var sync: @Sendable (_ descriptor: Int32) -> Int32
  package var rename: @Sendable (_ from: String, _ to: String) -> Int32

  package init(
    write: @escaping @Sendable (Int32, UnsafeRawPointer, Int) -> Int,
    sync: @escaping @Sendable (Int32) -> Int32,
    rename: @escaping @Sendable (String, String) -> Int32
  ) {
    self.write = write
    self.sync = sync
    self.rename = rename
  }

  /// The operating system's.
  package static let system = FileCalls(
    write: { Foundation.write($0, $1, $2) },
    sync: { fsync($0) },
    rename: { Foundation.rename($0, $1) }
  )
}
