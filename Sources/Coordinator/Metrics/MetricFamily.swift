/// A metric as Prometheus has them: a name, what it means, and its values now.
package struct MetricFamily: Sendable, Equatable {
  package enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
    case info
  }

  /// One value.
  package struct Sample: Sendable, Equatable {
    /// What is put behind the family's name: `_total`, `_bucket`.
    package var suffix = ""
    /// Pairs in the order they are written.
    package var labels: [(name: String, value: String)] = []
    package var value: Double

    package static func == (one: Sample, other: Sample) -> Bool {
      one.suffix == other.suffix && one.value == other.value
        && one.labels.elementsEqual(other.labels) { $0.name == $1.name && $0.value == $1.value }
    }
  }

  /// Without the suffix of its kind: OpenMetrics names a counter `crvq_retries`, and its value `crvq_retries_total`.
  package let name: String
  package let kind: Kind
  /// A base unit, which the name ends with: `seconds`, `bytes`, `ratio`; nil for counts.
  package let unit: String?
  package let help: String
  package private(set) var samples: [Sample] = []

  package init(_ name: String, _ kind: Kind, unit: String? = nil, help: String) {
    self.name = name
    self.kind = kind
    self.unit = unit
    self.help = help
  }

  /// Adds a value.
  package mutating func add(_ value: Double, _ labels: KeyValuePairs<String, String> = [:]) {
    let suffix =
      switch kind {
      case .counter: "_total"
      case .info: "_info"
      case .gauge, .histogram: ""
      }
    samples.append(Sample(suffix: suffix, labels: labels.map { ($0.key, $0.value) }, value: value))
  }

  /// Adds a distribution.
  package mutating func add(_ histogram: Histogram, _ labels: KeyValuePairs<String, String> = [:]) {
    let labels = labels.map { (name: $0.key, value: $0.value) }
    for (bound, count) in histogram.cumulative {
      // The standard wants `1.0` here.
      let bound = (name: "le", value: bound.isInfinite ? "+Inf" : "\(bound)")
      samples.append(Sample(suffix: "_bucket", labels: labels + [bound], value: Double(count)))
    }
    samples.append(Sample(suffix: "_sum", labels: labels, value: histogram.sum))
    samples.append(Sample(suffix: "_count", labels: labels, value: Double(histogram.count)))
  }
}
