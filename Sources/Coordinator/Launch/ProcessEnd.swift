import Foundation

/// How a process ended.
package enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
  case exited(Int32)
  case killed(signal: Int32)
  /// The system does not keep the ends of this process's children.
  case unknown

  /// - Parameter waitStatus: as `waitpid` gives it of a process that has ended: a signal in the lowest bits, or above them a status.
  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7f
    self = signal != 0 ? .killed(signal: signal) : ProcessEnd(status: (waitStatus >> 8) & 0xff)
  }

  /// - Parameter status: as a shell gives it: 128 and more for a signal. 255 is ssh's own.
  package init(status: Int32) {
    self = status > 128 && status < 128 + 65 ? .killed(signal: status - 128) : .exited(status)
  }

  /// As ssh ends that does not reach a machine, or reaches it no more.
  package static let noConnection = ProcessEnd.exited(255)

  /// Whether the next life would end the same way: wrong options, a job this program cannot serve, or no such program.
  package var isHopeless: Bool {
    switch self {
    case .exited(let status): [EX_USAGE, EX_DATAERR, 126, 127].contains(status)
    case .killed, .unknown: false
    }
  }

  /// Whether something outside has ended it without asking, as the kernel does when memory is at an end.
  package var isKill: Bool { self == .killed(signal: SIGKILL) }

  private static let meanings: [Int32: String] = [
    0: "done", EX_USAGE: "wrong options", EX_DATAERR: "a job it cannot serve", EX_SOFTWARE: "a fault of the program",
    EX_IOERR: "input or output", EX_TEMPFAIL: "the coordinator was lost", 126: "not a program", 127: "no such program",
    255: "no connection",
  ]

  package var description: String {
    switch self {
    case .exited(let status):
      "ended with status \(status)" + (Self.meanings[status].map { ", \($0)" } ?? "")
    case .killed(let signal):
      "was killed by signal \(signal), \(String(cString: strsignal(signal)))"
    case .unknown: "ended"
    }
  }
}
