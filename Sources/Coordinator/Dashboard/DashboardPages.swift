import Foundation
import Synchronization

/// What the dashboard answers, whoever asks.
final class DashboardPages: Sendable {
  enum Page: Sendable, Equatable {
    case index
    case job(JobPage)

    /// - Parameter path: without a query.
    init?(path: some StringProtocol) {
      if path == "/" {
        self = .index
      } else if let page = JobPage(rawValue: String(path)) {
        self = .job(page)
      } else {
        return nil
      }
    }
  }

  /// Tells something of the job, by its path.
  enum JobPage: String, Sendable {
    case metrics = "/metrics"
    case status = "/status.json"
    case health = "/healthz"
  }

  struct Answer: Sendable {
    /// Whether there is what was asked for.
    var isReady = true
    var contentType = "text/plain; charset=utf-8"
    let body: Data
  }

  private struct Job: Sendable {
    let directory: String
    let board: SnapshotBoard
  }

  /// A job whose last snapshot is older than that does not get on.
  private static let snapshotAgeMax = Duration.seconds(60)

  private static let index = """
    A crvq job.
    /metrics      what Prometheus asks for
    /status.json  what `crvq-coord status --json` prints
    /healthz      200 as long as the coordinator is well

    """

  private let job = Mutex<Job?>(nil)

  func show(_ directory: String, _ board: SnapshotBoard) {
    job.withLock { $0 = Job(directory: directory, board: board) }
  }

  /// Reads the job's directory if need be: not for a thread that others wait for.
  ///
  /// - Parameter accept: the forms that the reader understands, as in the header of that name.
  func answer(_ page: Page, accept: String) -> Answer {
    switch page {
    case .index: Answer(body: Data(Self.index.utf8))
    case .job(let page): answer(page, accept: accept)
    }
  }

  private func answer(_ page: JobPage, accept: String) -> Answer {
    guard let job = job.withLock({ $0 }), let (snapshot, time) = job.board.latest else {
      return Self.unavailable("there is no job yet")
    }
    switch page {
    case .metrics:
      let form = MetricsText(accept: accept)
      return Answer(contentType: form.contentType, body: Data(form.text(snapshot.metrics).utf8))
    case .status:
      do {
        return Answer(contentType: "application/json", body: try JSONForm.printed(JobStatus(job: job.directory)))
      } catch { return Self.unavailable("\(error)") }
    case .health:
      let age = ContinuousClock.now - time
      return age < Self.snapshotAgeMax
        ? Answer(body: Data("ok\n".utf8)) : Self.unavailable("nothing has happened for \((age / .seconds(1)).asTime)")
    }
  }

  private static func unavailable(_ reason: String) -> Answer { Answer(isReady: false, body: Data("\(reason)\n".utf8)) }
}
