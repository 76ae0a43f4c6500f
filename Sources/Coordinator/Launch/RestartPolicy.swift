/// Whether and when a worker that ended is started again: after a pause that doubles, up to a limit.
package struct RestartPolicy: Sendable {
  package enum Decision: Sendable, Equatable {
    case restart(after: Duration)
    case giveUp
  }

  /// A worker that dies more often than this, each time soon, stays dead.
  package static let restartsMax = 20
  /// For a worker that lived this long all begins anew.
  package static let steady = Duration.seconds(60)
  package static let shortestPause = Duration.milliseconds(500)
  package static let longestPause = Duration.seconds(30)

  /// Whether a connection that is gone, or does not come about, is tried again for as long as it takes: it tells nothing of a
  /// worker at a machine that has been reached before.
  package var outlastsOutages: Bool
  private var deaths = 0
  private var pause = RestartPolicy.shortestPause

  package init(outlastsOutages: Bool = false) { self.outlastsOutages = outlastsOutages }

  package mutating func ended(_ end: ProcessEnd, after life: Duration) -> Decision {
    if life > Self.steady { (deaths, pause) = (0, Self.shortestPause) }
    if !outlastsOutages || end != .noConnection { deaths += 1 }
    if end.isHopeless || deaths > Self.restartsMax { return .giveUp }
    defer { pause = min(pause * 2, Self.longestPause) }
    return .restart(after: pause)
  }
}
