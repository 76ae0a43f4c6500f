import Synchronization

/// Who may talk, by key; the values are names for people. Read again when the files it is from have changed, so that a key can be
/// withdrawn, or added, while processes run.
final class AllowList: Sendable, Equatable {
  /// Where it is from.
  typealias Source = @Sendable () throws(KeyError) -> [PublicKey: String]

  private let current: Mutex<[PublicKey: String]>
  private let source: Source?
  /// The last fault of the source that was told of.
  private let fault = Mutex<String?>(nil)

  /// - Parameter source: nil for a list that never changes.
  init(_ keys: [PublicKey: String], source: Source? = nil) {
    current = Mutex(keys)
    self.source = source
  }

  var keys: [PublicKey: String] { current.withLock { $0 } }

  func contains(_ key: PublicKey) -> Bool { current.withLock { $0[key] != nil } }

  static func == (left: AllowList, right: AllowList) -> Bool { left.keys == right.keys }

  /// Reads the list again. One that cannot be read, or is being written at the moment, changes nothing.
  ///
  /// - Returns: a line for the log for each change.
  func refresh() -> [String] {
    guard let source else { return [] }
    do throws(KeyError) {
      let (old, new) = (keys, try source())
      fault.withLock { $0 = nil }
      if old == new { return [] }
      current.withLock { $0 = new }
      let withdrawn = old.filter { new[$0.key] == nil }.map { "\($0.value), \($0.key), is no longer allowed" }
      let added = new.filter { old[$0.key] == nil }.map { "\($0.value), \($0.key), is allowed from now on" }
      return (withdrawn.sorted() + added.sorted()).map { "the key of \($0)" }
    } catch {
      let text = "\(error); the list of allowed keys stays as it was"
      let isNew = fault.withLock { fault in
        defer { fault = text }
        return fault != text
      }
      return isNew ? [text] : []
    }
  }
}
