/// Metrics as text, in the two forms that are read: OpenMetrics 1.0, and Prometheus' own before it.
package enum MetricsText: Sendable, CaseIterable {
  case openMetrics
  /// What a person with curl gets, and `promtool check metrics` reads.
  case prometheus

  private static let openMetricsType = "application/openmetrics-text"

  /// The form that a reader understands: OpenMetrics if it says so.
  ///
  /// - Parameter accept: its `Accept` headers, joined by commas.
  package init(accept: String) {
    let ranges = accept.lowercased().split(separator: ",").map { range in
      range.split(separator: ";").map { $0.filter { !$0.isWhitespace } }
    }
    let isAsked = ranges.contains { range in
      guard range.first == Self.openMetricsType else { return false }
      let quality = range.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) }
      return quality != 0
    }
    self = isAsked ? .openMetrics : .prometheus
  }

  package var contentType: String {
    switch self {
    case .openMetrics: "\(Self.openMetricsType); version=1.0.0; charset=utf-8"
    case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
    }
  }

  package func text(_ families: [MetricFamily]) -> String {
    var text = ""
    for family in families where !family.samples.isEmpty {
      write(family, to: &text)
    }
    if self == .openMetrics { text += "# EOF\n" }
    return text
  }

  private func write(_ family: MetricFamily, to text: inout String) {
    let name = metadataName(family)
    text += "# HELP \(name) \(escaped(family.help))\n# TYPE \(name) \(kind(family))\n"
    if self == .openMetrics, let unit = family.unit { text += "# UNIT \(name) \(unit)\n" }
    for sample in family.samples {
      text += family.name + sample.suffix
      if !sample.labels.isEmpty {
        let labels = sample.labels.map { "\($0.name)=\"\(quoted($0.value))\"" }
        text += "{\(labels.joined(separator: ","))}"
      }
      text += " \(Self.number(sample.value))\n"
    }
  }

  /// Before OpenMetrics a family had the name of its samples, and there were no infos.
  private func metadataName(_ family: MetricFamily) -> String {
    switch (self, family.kind) {
    case (.prometheus, .counter): family.name + "_total"
    case (.prometheus, .info): family.name + "_info"
    default: family.name
    }
  }

  private func kind(_ family: MetricFamily) -> String {
    self == .prometheus && family.kind == .info ? MetricFamily.Kind.gauge.rawValue : family.kind.rawValue
  }

  /// Of help texts, OpenMetrics has quotes escaped too.
  private func escaped(_ help: String) -> String {
    let lines = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    return self == .openMetrics ? lines.replacing("\"", with: "\\\"") : lines
  }

  private func quoted(_ value: String) -> String {
    value.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing("\"", with: "\\\"")
  }

  /// A number as both forms write it: `3`, `0.1`, `+Inf`.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return Int(exactly: value).map(String.init) ?? "\(value)"
  }
}
