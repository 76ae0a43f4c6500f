import CRVQ
import Foundation
import Numerics

let published: [(String, String, Double, Double)] = [
  ("self_attn.q_proj", "attn_in", 0.00658, 0.00490), ("self_attn.k_proj", "attn_in", 0.00899, 0.00620),
  ("self_attn.v_proj", "attn_in", 0.05908, 0.04627), ("self_attn.o_proj", "attn_out", 0.00123, 0.00062),
  ("mlp.gate_proj", "mlp_in", 0.07514, 0.07205), ("mlp.up_proj", "mlp_in", 0.16513, 0.15750),
  ("mlp.down_proj", "mlp_hidden", 0.04530, 0.04055),
]

var options = FitOptions()
var threads = 2
var only: String?
var trace = false
var arguments = CommandLine.arguments.dropFirst().makeIterator()
while let argument = arguments.next() {
  func value() -> String { arguments.next() ?? "" }
  switch argument {
  case "--threads": threads = Int(value()) ?? 2
  case "--only": only = value()
  case "--rounds": options.maximumRounds = Int(value()) ?? 8
  case "--feedback": options.feedbackRounds = Int(value()) ?? 3
  case "--steps": options.codebookSteps = Int(value()) ?? 8
  case "--tolerance": options.tolerance = Double(value()) ?? 0.01
  case "--damping": options.damping = Double(value()) ?? 0.01
  case "--beam": options.beamWidth = Int(value()) ?? 8
  case "--ratio": options.format.criticalRatio = Double(value()) ?? 0.02
  case "--seed": options.seed = UInt64(value()) ?? 0
  case "--unit": break
  case "--anneal": options.annealingRounds = Int(value()) ?? 8
  case "--temperature": options.temperature = Double(value()) ?? 8
  case "--sweeps": options.sweeps = Int(value()) ?? 8
  case "--trace": trace = true
  default: print("unknown \(argument)")
  }
}
let block = try ReferenceBlock(path: "/work/shared/reference/block0.safetensors")
let team = ThreadTeam(threads: threads)
func pad(_ s: String, _ n: Int) -> String { s + String(repeating: " ", count: max(0, n - s.count)) }
func f(_ x: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", x) }

func cpuNow() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }
var cpu = 0.0
var logs = 0.0
var worst = 0.0
var total = 0.0
var count = 0.0
for (name, site, reference, sketch) in published where only == nil || name.contains(only ?? "") {
  let c0 = cpuNow()
  let w = block.matrix("weight.\(name)")
  let h = block.matrix("gram.\(site)")
  let result = try fit(weight: w, gram: h, options: options, streamKey: name, team: team) { round, error in
    if trace { print("   round \(round) \(error) \(error / reference)") }
    return true
  }
  cpu += cpuNow() - c0
  let ratio = result.relativeError / reference
  print(
    pad(name, 18), f(result.relativeError, 5), "vs published", f(ratio, 3), "vs sketch",
    f(result.relativeError / sketch, 3), "rounds", result.rounds,
    f(result.seconds, 2) + "s",
    result.steps.all.map { "\($0.name) \(f($0.seconds, 2))" }.joined(separator: " "))
  logs += log(ratio)
  worst = max(worst, ratio)
  total += result.seconds
  count += 1
}
print("geometric mean", f(exp(logs / count), 4), "worst", f(worst, 3), "seconds", f(total, 2))

/// A product of two squares of side 4096 on the whole team: the unit of time.
func unit() -> Double {
  let n = 4096
  let a = [Float](repeating: 0.5, count: n * n)
  let b = [Float](repeating: 0.25, count: n * n)
  var c = [Float](repeating: 0, count: n * n)
  let start = ContinuousClock.now
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      c.withUnsafeMutableBufferPointer { c in
        nonisolated(unsafe) let (a, b, c) = (a.baseAddress!, b.baseAddress!, c.baseAddress!)
        team.forEachRange(n, grain: 256) { range in
          BLAS.sgemm(
            .no, .no, m: range.count, n: n, k: n, a + range.lowerBound * n, lda: n, b, ldb: n, c + range.lowerBound * n,
            ldc: n)
        }
      }
    }
  }
  return (ContinuousClock.now - start) / .seconds(1)
}
if !CommandLine.arguments.contains("--unit") { print("cpu", f(cpu, 2)) } else {
  let c0 = cpuNow()
  let u = unit()
  let c1 = cpuNow() - c0
  print("unit", f(u, 3), "units", f(total / u, 2), "cpu", f(cpu, 2), "unit cpu", f(c1, 2), "cpu units", f(cpu / c1, 2))
}
