import Coordinator
import Foundation
import Testing

@Suite struct MetricsTextTests {
  private let families: [MetricFamily] = {
    var info = MetricFamily("t_job", .info, help: "A job.")
    info.add(1, ["model": #"a\b"c"# + "\nd"])
    var retries = MetricFamily("t_retries", .counter, help: #"What was "tried" again: \ is kept."#)
    retries.add(3, ["kind": "fit"])
    retries.add(1e300, ["kind": "tune"])
    var progress = MetricFamily("t_progress_ratio", .gauge, unit: "ratio", help: "Share.")
    progress.add(0.25)
    var seconds = MetricFamily("t_seconds", .histogram, unit: "seconds", help: "Times.")
    var histogram = Histogram(bounds: [0.5, 1])
    for value in [0.5, 0.75, 2] { histogram.observe(value) }
    seconds.add(histogram, ["kind": "fit"])
    let none = MetricFamily("t_none", .gauge, help: "Nothing is known of it.")
    return [info, retries, progress, seconds, none]
  }()

  @Test func openMetrics() {
    #expect(
      MetricsText.openMetrics.text(families) == #"""
        # HELP t_job A job.
        # TYPE t_job info
        t_job_info{model="a\\b\"c\nd"} 1
        # HELP t_retries What was \"tried\" again: \\ is kept.
        # TYPE t_retries counter
        t_retries_total{kind="fit"} 3
        t_retries_total{kind="tune"} 1e+300
        # HELP t_progress_ratio Share.
        # TYPE t_progress_ratio gauge
        # UNIT t_progress_ratio ratio
        t_progress_ratio 0.25
        # HELP t_seconds Times.
        # TYPE t_seconds histogram
        # UNIT t_seconds seconds
        t_seconds_bucket{kind="fit",le="0.5"} 1
        t_seconds_bucket{kind="fit",le="1.0"} 2
        t_seconds_bucket{kind="fit",le="+Inf"} 3
        t_seconds_sum{kind="fit"} 3.25
        t_seconds_count{kind="fit"} 3
        # EOF

        """#)
  }

  /// Families have the names of their samples, and there are no units and no infos.
  @Test func theFormBefore() {
    let lines = MetricsText.prometheus.text(families).split(separator: "\n")
    #expect(
      lines.filter { $0.hasPrefix("# TYPE") } == [
        "# TYPE t_job_info gauge", "# TYPE t_retries_total counter", "# TYPE t_progress_ratio gauge",
        "# TYPE t_seconds histogram",
      ])
    #expect(lines.contains(#"# HELP t_retries_total What was "tried" again: \\ is kept."#))
    #expect(!lines.contains { $0.hasPrefix("# UNIT") || $0.hasPrefix("# EOF") })
    let samples = MetricsText.openMetrics.text(families).split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(lines.filter { !$0.hasPrefix("#") } == samples)
  }

  @Test(arguments: [
    ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.2", true),
    ("Application/OpenMetrics-Text", true), ("text/plain", false), ("*/*", false), ("", false),
    ("application/openmetrics-text;q=0,text/plain", false),
  ])
  func theReaderChooses(accept: String, isOpenMetrics: Bool) {
    let form = MetricsText(accept: accept)
    #expect(form == (isOpenMetrics ? .openMetrics : .prometheus))
    #expect(
      form.contentType
        == (isOpenMetrics
          ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8"))
  }

  @Test func aHistogramCountsWhatIsBelowEachBound() {
    var histogram = Histogram(bounds: [1, 10])
    for value in [0, 1, 1.5, 10, 11, .infinity] { histogram.observe(value) }
    #expect(histogram.cumulative.map(\.count) == [2, 4, 6])
    #expect(histogram.cumulative.map(\.bound) == [1, 10, .infinity])
    #expect(histogram.count == 6)
  }
}
