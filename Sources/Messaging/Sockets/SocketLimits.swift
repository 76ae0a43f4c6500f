/// What one socket accepts, keeps and waits for.
package struct SocketLimits: Sendable {
  /// Bytes of a frame; libzmq closes the connection of a peer that sends a longer one (ZMQ_MAXMSGSIZE).
  package var frameBytes: Int
  /// Frames of a message. ZMQ_MAXMSGSIZE and the high-water marks know nothing of them.
  package var frames: Int
  /// Bytes of all frames of a message.
  package var messageBytes: Int
  /// Messages queued for each peer before a send would block (ZMQ_SNDHWM).
  package var sendQueue: Int32
  /// Messages received from each peer and not read yet before the peer has to wait (ZMQ_RCVHWM).
  package var receiveQueue: Int32
  /// How long a closed socket goes on sending what is queued, milliseconds (ZMQ_LINGER).
  package var lingerMilliseconds: Int32
  /// The I/O threads that may serve the socket, a bit each (ZMQ_AFFINITY).
  package var ioThreads: UInt64

  /// For control messages: small ones, few of them.
  package static let control = SocketLimits(
    frameBytes: Envelope.payloadLimit, frames: Envelope.frameLimit, messageBytes: Envelope.payloadLimit + 4096,
    sendQueue: 1000, receiveQueue: 64, lingerMilliseconds: 2000, ioThreads: 0b01)

  /// The same for the connecting side, with room for all that its coordinator may say at once. libzmq aborts the process where
  /// the connection of a DEALER ends while its receive queue is full, and the queue is read afterwards (its issue 3937):
  /// a queue that cannot fill up keeps a process that stood still from that.
  package static let controlClient = {
    var limits = control
    limits.receiveQueue = 1000
    return limits
  }()

  /// For those who serve artifacts: requests are small; at most 16 answers are queued for a peer, their bytes bounded by
  /// ``SendBudget``.
  package static let artifactServer = SocketLimits(
    frameBytes: 4096, frames: Envelope.frameLimit, messageBytes: 8192, sendQueue: 16, receiveQueue: 256,
    lingerMilliseconds: 0, ioThreads: 0b10)

  /// For those who fetch artifacts; what is in flight is bounded by the credit of each fetch. The queue takes that of sixteen
  /// fetches from one holder, for the reason of ``controlClient``.
  package static let artifactClient = SocketLimits(
    frameBytes: ArtifactMessage.chunkLimit, frames: Envelope.frameLimit,
    messageBytes: ArtifactMessage.chunkLimit + (64 << 10), sendQueue: 1000, receiveQueue: 128, lingerMilliseconds: 0,
    ioThreads: 0b10)
}
