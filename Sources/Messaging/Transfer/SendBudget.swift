import Synchronization

/// The memory for chunks that are to be sent, of all peers of an artifact server together.
///
/// A server reads its files faster than a network takes them: without a bound, all that all workers ask for when a job starts
/// would be in memory at once. So a peer has a few chunks on their way at a time, enough to keep its connection busy, and
/// when all peers together have ``Limits/total`` bytes, others wait until some have left.
///
/// Those who do not read must not keep everyone else waiting for ever, and libzmq neither tells them apart nor ends their
/// connections. A peer of which nothing has left for ``Limits/patience`` is therefore not counted with the others. Beyond the
/// total, however, only a peer without any gets a chunk, so that all together stay below the total and a chunk a peer, be there
/// ever so many that do not read.
///
/// With keys, libzmq encrypts the chunk that is being sent on each connection into memory of its own, which is not counted.
package final class SendBudget: Sendable {
  package struct Limits: Sendable {
    /// Bytes of all peers.
    package var total = 64 << 20
    /// Bytes of one peer. A chunk may go beyond it, and beyond the total.
    package var peer = 4 << 20
    /// How long a peer may take for a chunk before it counts as one that does not read.
    package var patience = Duration.seconds(5)

    package init() {}
  }

  /// What one peer has on its way.
  private struct Load {
    var bytes = 0
    /// When the first of its chunks was made, or the last one left.
    var lastChange: ContinuousClock.Instant
  }

  private struct State {
    var loads: [[UInt8]: Load] = [:]
    /// Of all loads.
    var bytes = 0
    /// Of the loads of peers that do not read.
    var stalledBytes = 0
  }

  let limits: Limits
  private let state = Mutex(State())
  private let onRelease: @Sendable () -> Void

  /// - Parameter onRelease: called, on any thread, when there may be room again.
  package init(_ limits: Limits, onRelease: @escaping @Sendable () -> Void) {
    self.limits = limits
    self.onRelease = onRelease
  }

  /// Bytes that are in memory.
  package var bytes: Int { state.withLock { $0.bytes } }

  /// Finds those that do not read. From time to time, for nothing happens to them that would tell.
  package func noteStalled(at now: ContinuousClock.Instant) {
    state.withLock { state in
      state.stalledBytes = 0
      for load in state.loads.values where now - load.lastChange > limits.patience { state.stalledBytes += load.bytes }
    }
  }

  /// Whether a peer may have one more chunk, of whatever length: else short ones would always go before long ones.
  package func hasRoom(for peer: [UInt8]) -> Bool {
    state.withLock { state -> Bool in
      guard let load = state.loads[peer] else { return state.bytes - state.stalledBytes < limits.total }
      return load.bytes < limits.peer && state.bytes < limits.total
    }
  }

  /// A frame for a peer's next chunk, counted until the last reference to its bytes is gone: they were sent, or the connection
  /// has ended, or they were never sent. That may be later than the end of the server.
  ///
  /// - Throws: ``MessagingError`` `.socket` if there is no memory.
  package func frame(count: Int, for peer: [UInt8]) throws(MessagingError) -> MessageFrame {
    let frame = try MessageFrame(count: count) { [self] in release(count, of: peer) }
    state.withLock { state in
      state.loads[peer, default: Load(lastChange: .now)].bytes += count
      state.bytes += count
    }
    return frame
  }

  private func release(_ count: Int, of peer: [UInt8]) {
    state.withLock { state in
      state.bytes -= count
      state.loads[peer]?.bytes -= count
      state.loads[peer]?.lastChange = .now
      if state.loads[peer]?.bytes == 0 { state.loads[peer] = nil }
    }
    onRelease()
  }
}
