import Foundation
import Machines
import Numerics

/// How a worker process is run.
public struct WorkerOptions: Sendable {
  /// Threads, and slots, that a worker may have.
  public static let threadsMax = 1024

  /// The coordinator's endpoint.
  public var endpoint: String
  /// For people: logs, reports, the display.
  public var name: String
  /// Threads of all slots together.
  public var threads: Int
  /// Tasks at a time.
  public var slots: Int
  /// Where Grams, hidden states and results lie; nil for the temporary directory.
  public var cacheDirectory: String?
  /// Bytes that tasks may use.
  public var memoryBytes: UInt64
  /// Bytes of fetched inputs that are kept although no task in hand needs them.
  public var copiesBytesMax: UInt64
  /// The directory with the job's keys, or "-" to read them from standard input; nil for none.
  public var keys: String?
  /// Whether a coordinator on another machine is trusted without keys.
  public var isInsecure: Bool
  /// End when this process is no longer the parent; nil to run on.
  public var parent: Int32?
  /// Whether to end with standard input: the connection of whoever started the worker from afar.
  public var endsWithInput = false
  /// Without a word from the coordinator for so long, the worker ends.
  public var patience = WorkerOptions.usualPatience
  public static let usualPatience = Duration.seconds(45)
  /// A month, in seconds.
  public static let patienceMax = 31 * 86_400
  /// When this machine is taken away from the worker; nil if it is not.
  public var allocationEnd: Date?

  public init(
    endpoint: String, name: String?, threads: Int?, slots: Int, cacheDirectory: String?, memoryBytes: UInt64?,
    copiesBytesMax: UInt64? = nil, keys: String? = nil, isInsecure: Bool = false, parent: Int32?
  ) {
    let process = ProcessInfo.processInfo
    self.endpoint = endpoint
    self.name = name ?? "\(process.hostName)-\(process.processIdentifier)"
    self.threads = threads ?? ThreadTeam.availableProcessors
    self.slots = slots
    self.cacheDirectory = cacheDirectory
    self.memoryBytes = memoryBytes ?? Machine.memoryOfProcess.bytes
    self.copiesBytesMax = copiesBytesMax ?? InputCopies.idleBytesMax
    self.keys = keys
    self.isInsecure = isInsecure
    self.parent = parent
  }

  /// Whether the process that this one is to end with has ended.
  var isOrphaned: Bool { parent.map { getppid() != $0 } ?? false }
}

/// Why a worker ends other than by being told to. One line; the case gives the exit code.
public enum WorkerError: Error, Sendable, CustomStringConvertible {
  /// Exit 64.
  case usage(String)
  /// The coordinator or its job is not one this worker can serve. Exit 65.
  case badInput(String)
  /// Exit 74.
  case io(String)
  /// The coordinator is gone. Exit 75.
  case lostCoordinator(String)

  public var description: String {
    switch self {
    case .usage(let text), .badInput(let text), .io(let text), .lostCoordinator(let text): text
    }
  }

  /// The exit code of sysexits.h.
  public var exitCode: Int32 {
    switch self {
    case .usage: 64
    case .badInput: 65
    case .io: 74
    case .lostCoordinator: 75
    }
  }
}
