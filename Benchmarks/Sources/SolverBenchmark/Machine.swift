import Foundation
import Numerics

/// What this machine can do, measured.
struct Machine {
  let team: ThreadTeam

  /// Seconds of a product [m, k] · [k, n] on the whole team.
  func product(_ m: Int, _ n: Int, _ k: Int) -> Double {
    let a = [Float](repeating: 0.5, count: m * k)
    let b = [Float](repeating: 0.25, count: k * n)
    var c = [Float](repeating: 0, count: m * n)
    var best = Double.infinity
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          nonisolated(unsafe) let (x, y, z) = (a, b, c)
          for _ in 0..<2 {
            best = min(
              best,
              seconds {
                team.forEachRange(m, grain: 256) { range in
                  let at = range.lowerBound
                  BLAS.sgemm(
                    .no, .no, m: range.count, n: n, k: k, x + at * k, lda: k, y, ldb: n, z + at * n, ldc: n)
                }
              })
          }
        }
      }
    }
    return best
  }

  /// Bytes a second that a copy reads and writes, on the whole team.
  func copyRate() -> Double {
    let count = 32 << 20
    let from = [Float](repeating: 1, count: count)
    var to = [Float](repeating: 0, count: count)
    var best = Double.infinity
    from.withUnsafeBufferPointer { from in
      to.withUnsafeMutableBufferPointer { to in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        nonisolated(unsafe) let (x, y) = (from, to)
        for _ in 0..<3 {
          best = min(
            best,
            seconds {
              team.forEachRange(count, grain: 1 << 20) {
                (y + $0.lowerBound).update(from: x + $0.lowerBound, count: $0.count)
              }
            })
        }
      }
    }
    return Double(8 * count) / best
  }

  /// The most memory this process ever had, in bytes.
  static func peakBytes() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
    return (Int(line.filter(\.isNumber)) ?? 0) << 10
  }
}

/// Wall time of `body`.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = ContinuousClock.now
  try body()
  return (ContinuousClock.now - start) / .seconds(1)
}

/// Processor time of this process so far, in seconds, all threads.
func processorSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }
