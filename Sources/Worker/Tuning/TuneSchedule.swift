import Foundation

/// The strength of each step: a few steps of warming up, then half a cosine down to nothing (Loshchilov and Hutter,
/// arXiv 1608.03983).
package struct TuneSchedule {
  let steps: Int
  let warmUp: Int
  /// Steps begun.
  package private(set) var step = 0

  package init(steps: Int, warmUp: Int) {
    self.steps = steps
    self.warmUp = warmUp
  }

  package mutating func advance() { step += 1 }

  /// - Parameter step: counts from 1.
  package mutating func advance(to step: Int) { self.step = step }

  /// Of the step begun last.
  package var strength: Float {
    let rise = min(1, Double(step) / Double(warmUp + 1))
    let fall = 0.5 * (1 + cos(Double.pi * Double(step - 1) / Double(max(1, steps))))
    return Float(rise * fall)
  }
}
