import Foundation
import NIOCore
import NIOHTTP1

/// A reader's connection: takes requests one after another, and answers each from ``DashboardPages``.
final class DashboardConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let pages: DashboardPages
  private let maker: DispatchQueue
  private var head: HTTPRequestHead?

  /// - Parameter maker: where pages are made.
  init(_ pages: DashboardPages, _ maker: DispatchQueue) {
    self.pages = pages
    self.maker = maker
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    // Nothing that is sent along is of interest.
    case .body: break
    case .end:
      guard let head = head.take() else { return }
      answer(head, context)
    }
  }

  /// Connections that stand still are closed.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent {
      context.close(promise: nil)
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    guard head.method == .GET || head.method == .HEAD else {
      return write(.methodNotAllowed, DashboardPages.Answer(body: Data("to be read only\n".utf8)), to: head, context)
    }
    guard let page = DashboardPages.Page(path: head.uri.prefix { $0 != "?" }) else {
      return write(.notFound, DashboardPages.Answer(body: Data("no such page\n".utf8)), to: head, context)
    }
    // Of several headers of a name, each holds a part of the list.
    let accept = head.headers["accept"].joined(separator: ",")
    let made = context.eventLoop.makePromise(of: DashboardPages.Answer.self)
    maker.async { [pages] in made.succeed(pages.answer(page, accept: accept)) }
    made.futureResult.assumeIsolated().whenSuccess { answer in
      guard context.channel.isActive else { return }
      self.write(answer.isReady ? .ok : .serviceUnavailable, answer, to: head, context)
    }
  }

  private func write(
    _ status: HTTPResponseStatus, _ answer: DashboardPages.Answer, to request: HTTPRequestHead,
    _ context: ChannelHandlerContext
  ) {
    var headers: HTTPHeaders = [
      "content-type": answer.contentType, "content-length": "\(answer.body.count)", "cache-control": "no-store",
    ]
    if status == .methodNotAllowed { headers.add(name: "allow", value: "GET, HEAD") }
    if !request.isKeepAlive { headers.add(name: "connection", value: "close") }
    let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if request.method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
    }
    let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
    if !request.isKeepAlive { written.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
  }
}
