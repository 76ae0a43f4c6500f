import Foundation
import JobGraph
import Synchronization

/// One block of lines at the bottom of a terminal that is drawn again in place; notes scroll by above it.
public final class TerminalDisplay: ProgressDisplay {
  private struct State {
    var drawnLines = 0
    var last: JobMoment?
  }

  private static let workersShown = 12
  private let state = Mutex(State())

  public init() {}

  public func show(_ moment: JobMoment) {
    state.withLock { state in
      state.last = moment
      Self.draw(&state)
    }
  }

  public func note(_ line: String) { state.withLock { Self.draw(&$0, below: line + "\n") } }

  public func close() {
    state.withLock { state in
      state.last = nil
      state.drawnLines = 0
    }
  }

  /// Draws over what is drawn. In one piece with what stays above it: if one of them is not written, none is.
  private static func draw(_ state: inout State, below text: String = "") {
    var lines: [String] = []
    if let moment = state.last {
      let size = TerminalSize(of: STDERR_FILENO)
      lines = size.lines(of: screen(moment, width: size.columns).joined(separator: "\n"))
    }
    let erasure = state.drawnLines > 0 ? "\u{1B}[\(state.drawnLines)A\u{1B}[0J" : ""
    if StandardError.offer(erasure + text + lines.map { $0 + "\n" }.joined()) { state.drawnLines = lines.count }
  }

  /// What is drawn, a string a line.
  package static func screen(_ moment: JobMoment, width: Int) -> [String] {
    let progress = moment.progress
    let barWidth = max(10, min(40, width - 40))
    var lines = ["\(moment.pace.phase.rawValue)  \(moment.rate)"] + bars(progress, barWidth)
    let workers = progress.running.sorted { (moment.workerNames[$0.key] ?? "") < (moment.workerNames[$1.key] ?? "") }
    for (id, tasks) in workers.prefix(workersShown) {
      let idle = progress.setAside.contains(id) ? "set aside" : "idle"
      let remarks = moment.remarks[id] ?? [:]
      let said = tasks.map { task in remarks[task].map { "\(task.account): \($0)" } ?? task.account }
      let work = said.isEmpty ? idle : said.joined(separator: ", ")
      lines.append("  \((moment.workerNames[id] ?? id.description).padded(to: 20)) \(work)")
    }
    if workers.count > workersShown { lines.append("  and \(workers.count - workersShown) more workers") }
    return lines
  }

  private static func bars(_ progress: JobProgress, _ width: Int) -> [String] {
    let (fits, tunes, steps, evaluations) = (progress.fits, progress.tunes, progress.steps, progress.evaluations)
    if evaluations.total > 0 { return [bar("evaluated", evaluations.done, evaluations.total, width)] }
    return [
      bar("collected", progress.collectedBlocks, progress.blockCount, width),
      bar("fitted", fits.done, fits.total, width),
    ] + (tunes.total > 0 ? [bar("tuned", tunes.done, tunes.total, width)] : [])
      + (steps.total > 0 ? [bar("distilled", steps.done, steps.total, width)] : []) + [
        bar("verified", progress.verifiedBlocks, progress.blockCount, width)
      ]
  }

  private static func bar(_ name: String, _ done: Int, _ total: Int, _ width: Int) -> String {
    let filled = total > 0 ? done * width / total : 0
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    return "  \(name.padded(to: 10)) \(bar) \(done)/\(total)"
  }
}
