import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A running job over HTTP, to be read and not changed: metrics, its status, and whether it is well.
///
/// It looks at snapshots that the job posts and at the job's directory; the job does not wait for it.
public final class Dashboard: Sendable {
  /// Connections at a time, and how long one may be idle: those who watch are few.
  private static let connectionsMax = 64
  private static let idleMax = TimeAmount.seconds(60)

  /// Where it listens.
  public let address: DashboardAddress
  private let pages: DashboardPages
  private let group: MultiThreadedEventLoopGroup
  private let channel: any Channel

  private init(
    address: DashboardAddress, pages: DashboardPages, group: MultiThreadedEventLoopGroup, channel: any Channel
  ) {
    self.address = address
    self.pages = pages
    self.group = group
    self.channel = channel
  }

  deinit { group.shutdownGracefully { _ in } }

  /// Binds the address and begins to answer, for as long as there is a reference to the result. Before there is a job to show,
  /// the answer is that there is none yet.
  ///
  /// - Throws: ``CoordinatorError`` if the address cannot be bound.
  public static func start(at address: DashboardAddress) async throws -> Dashboard {
    let pages = DashboardPages()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let channel = try await server(pages, group).bind(host: address.host, port: address.port).get()
      let bound = channel.localAddress?.port.flatMap(UInt16.init)
      return Dashboard(address: address.at(port: bound), pages: pages, group: group, channel: channel)
    } catch {
      try? await group.shutdownGracefully()
      let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
      throw CoordinatorError.io("--dashboard \(address): \(reason)")
    }
  }

  private static func server(_ pages: DashboardPages, _ group: MultiThreadedEventLoopGroup) -> ServerBootstrap {
    // Where pages are made: one at a time, and no connection waits for another's.
    let maker = DispatchQueue(label: "dashboard")
    let connections = ConnectionCount()
    return ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard connections.add(upTo: connectionsMax) else { return channel.close(promise: nil) }
          channel.closeFuture.whenComplete { _ in connections.remove() }
          let pipeline = channel.pipeline.syncOperations
          try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
          try pipeline.addHandler(IdleStateHandler(allTimeout: idleMax))
          try pipeline.addHandler(DashboardConnection(pages, maker))
        }
      }
  }

  private final class ConnectionCount: Sendable {
    private let count = Mutex(0)

    func add(upTo most: Int) -> Bool {
      count.withLock { count in
        if count >= most { return false }
        count += 1
        return true
      }
    }

    func remove() { count.withLock { $0 -= 1 } }
  }

  /// Shows a job from now on.
  func show(_ directory: JobDirectory, _ board: SnapshotBoard) { pages.show(directory.path, board) }

  /// Lines for the user: where it is, and who may read it.
  var notes: [String] {
    let place = "dashboard: http://\(address)/"
    if address.isLoopback { return [place] }
    return [
      place,
      "the dashboard asks nobody who they are: whoever reaches \(address) may read how the job goes, and change nothing",
    ]
  }
}
