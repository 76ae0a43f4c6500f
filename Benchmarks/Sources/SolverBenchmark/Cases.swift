import CRVQ
import Checkpoint
import Foundation
import Numerics

/// The cases, each of which reports its figures beside their thresholds.
struct Cases {
  let machine: Machine
  let options: FitOptions
  private(set) var isPassed = true

  init(threads: Int, options: FitOptions) {
    machine = Machine(team: ThreadTeam(threads: threads))
    self.options = options
  }

  private mutating func require(_ what: String, _ value: Double, atMost limit: Double) {
    isPassed = isPassed && value <= limit
    report("  \(value <= limit ? "ok  " : "FAIL") \(what) \(value.fixed(3)), at most \(limit.fixed(2))")
  }

  private mutating func require(_ what: String, _ value: Double, atLeast limit: Double) {
    isPassed = isPassed && value >= limit
    report("  \(value >= limit ? "ok  " : "FAIL") \(what) \(value.fixed(3)), at least \(limit.fixed(2))")
  }

  /// Error and time of the seven linears of a real block.
  mutating func block(shared: String) throws {
    let path = "\(shared)/reference/block0.safetensors"
    guard FileManager.default.fileExists(atPath: path) else {
      report("block: skipped, no \(path); name the directory of the shared data with --shared or CRVQ_SHARED")
      return
    }
    report("block: seven linears of \(path)")
    let file = try SafetensorsFile(path: path)
    let n = 4096
    let unit = machine.product(n, n, n)
    let processorUnit = processorTime { _ = machine.product(n, n, n) } / 2
    var breakdown = Breakdown()
    var (logs, worst, time, processor) = (0.0, 0.0, 0.0, 0.0)
    for published in Published.all {
      let input = try Input.reference(published, in: file)
      let before = processorSeconds()
      let result = try fitted(input)
      processor += processorSeconds() - before
      let ratio = result.relativeError / published.relativeError
      report(
        "  \(published.linear.padded(18)) relative error \(result.relativeError.fixed(5)), of published \(ratio.fixed(3)),"
          + " \(result.rounds) rounds, \(result.seconds.fixed(2)) s")
      logs += log(ratio)
      worst = max(worst, ratio)
      time += result.seconds
      breakdown.add(result)
    }
    breakdown.print(flopRate: 2 * Double(n * n * n) / unit, copyRate: machine.copyRate())
    require(
      "geometric mean of error / published", exp(logs / Double(Published.all.count)), atMost: Thresholds.meanError)
    require("worst error / published", worst, atMost: Thresholds.worstError)
    report("  \(time.fixed(2)) s; processor time in the unit's \((processor / processorUnit).fixed(2))")
    require("time / product of 4096³ (\(unit.fixed(3)) s)", time / unit, atMost: Thresholds.blockUnits)
  }

  /// Time of one large linear.
  mutating func large(_ name: String, rows: Int, columns: Int) throws {
    report("\(name): \(rows)×\(columns), synthetic")
    let input = Input.synthetic(name, rows: rows, columns: columns, team: machine.team)
    let unit = machine.product(rows, columns, columns)
    let processorUnit = processorTime { _ = machine.product(rows, columns, columns) } / 2
    let before = processorSeconds()
    let result = try fitted(input)
    let processor = processorSeconds() - before
    var breakdown = Breakdown()
    breakdown.add(result)
    breakdown.print(
      flopRate: 2 * Double(rows) * Double(columns) * Double(columns) / unit, copyRate: machine.copyRate())
    report(
      "  relative error \(result.relativeError.fixed(5)), \(result.rounds) rounds, \(result.seconds.fixed(2)) s; "
        + "processor time in the unit's \((processor / processorUnit).fixed(2))")
    require("time / W·H (\(unit.fixed(3)) s)", result.seconds / unit, atMost: Thresholds.products)
  }

  /// One thread against two.
  mutating func threads() throws {
    report("threads: 2048×2048, synthetic")
    let input = Input.synthetic("threads", rows: 2048, columns: 2048, team: machine.team)
    func time(_ threads: Int) throws -> (Double, PackedLinear) {
      let result = try fit(
        weight: input.weight, gram: input.gram, options: options, streamKey: input.name,
        team: ThreadTeam(threads: threads))
      return (result.seconds, result.packed)
    }
    let (one, first) = try time(1)
    let (two, second) = try time(2)
    if first != second {
      isPassed = false
      report("  FAIL one and two threads gave different bytes")
    }
    require("speed on two threads over one (\(one.fixed(2)) s)", one / two, atLeast: Thresholds.twoThreads)
  }

  /// Peak memory: run in a process of its own.
  mutating func memory(rows: Int, columns: Int) throws {
    report("memory: \(rows)×\(columns), synthetic")
    var short = options
    short.maximumRounds = 2
    let input = Input.synthetic("memory", rows: rows, columns: columns, team: machine.team)
    let packed = try handOver(input, short)
    let formula = 4 * (columns * columns + 2 * rows * columns) + Thresholds.slackBytes
    let peak = Machine.peakBytes()
    report(
      "  peak \(peak >> 20) MiB, formula in² + 2 · out · in values + \(Thresholds.slackBytes >> 20) MiB = "
        + "\(formula >> 20) MiB (\(packed.rows) rows)")
    require("peak / formula", Double(peak) / Double(formula), atMost: Thresholds.memory)
  }

  private func handOver(_ input: consuming Input, _ options: FitOptions) throws -> PackedLinear {
    let (weight, gram) = (input.weight, input.gram)
    _ = consume input
    return try fit(
      weight: consume weight, gram: consume gram, options: options, streamKey: "memory", team: machine.team
    ).packed
  }

  private func fitted(_ input: Input) throws -> FitResult {
    try fit(weight: input.weight, gram: input.gram, options: options, streamKey: input.name, team: machine.team)
  }

  private func processorTime(_ body: () -> Void) -> Double {
    let before = processorSeconds()
    body()
    return processorSeconds() - before
  }
}
