import CRVQ
import Foundation

/// Where a fit's time went, and how far each step is from what the machine can do.
struct Breakdown {
  private var seconds = FitSteps()
  private var work: [FitWork] = []

  mutating func add(_ result: FitResult) {
    for step in FitStep.allCases { seconds[step] += result.steps[step] }
    work.append(result.work)
  }

  /// - Parameters:
  ///   - flopRate: of a large product, operations a second.
  ///   - copyRate: bytes a second.
  func print(flopRate: Double, copyRate: Double) {
    let whole = FitStep.allCases.reduce(0) { $0 + seconds[$1] }
    report("  step          seconds  share   Gflop  of sgemm's rate    Gbyte  of copy's rate")
    for step in FitStep.allCases where seconds[step] > 0 {
      let (name, time) = (step.rawValue.padded(12), seconds[step])
      let flops = work.reduce(0) { $0 + $1.operations(of: step) }
      let bytes = work.reduce(0) { $0 + $1.bytes(of: step) }
      report(
        "  \(name) \(time.fixed(3, 8)) \((100 * time / whole).fixed(1, 5)) % \((flops / 1e9).fixed(1, 8))"
          + "\((100 * flops / flopRate / time).fixed(0, 13)) %  \((bytes / 1e9).fixed(2, 9))"
          + "\((100 * bytes / copyRate / time).fixed(0, 13)) %")
    }
  }
}

func report(_ line: String) { print(line) }

extension Double {
  func fixed(_ digits: Int, _ width: Int = 0) -> String {
    let text = String(format: "%.\(digits)f", self)
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }
}

extension String {
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
