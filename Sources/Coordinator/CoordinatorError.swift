/// Why a job could not be started, or ended without output. One line; the case gives the exit code.
public enum CoordinatorError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Options that contradict each other or what is there. Exit 64.
  case usage(String)
  /// A model, token file or job directory that is not what it should be. Exit 65.
  case badInput(String)
  /// The operating system refused. Exit 74.
  case io(String)
  /// The job ended early and can be resumed. Exit 75.
  case tryAgain(String)
  /// A fault of this program. Exit 70.
  case `internal`(String)

  /// What another module could not do is taken for the operating system's refusal.
  init(_ error: any Error) { self = (error as? CoordinatorError) ?? .io("\(error)") }

  public var description: String {
    switch self {
    case .usage(let text), .badInput(let text), .io(let text), .tryAgain(let text), .internal(let text): text
    }
  }

  /// Whether the same job can go on: then it is not a failed one, and its user is told how.
  var canBeResumed: Bool {
    switch self {
    case .io, .tryAgain: true
    case .usage, .badInput, .internal: false
    }
  }

  /// The exit code of sysexits.h.
  public var exitCode: Int32 {
    switch self {
    case .usage: 64
    case .badInput: 65
    case .internal: 70
    case .io: 74
    case .tryAgain: 75
    }
  }
}
