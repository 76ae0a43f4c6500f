import JobGraph

/// A running job at one moment, in numbers.
package struct JobSnapshot: Sendable, Equatable {
  package enum WorkerState: String, Sendable, CaseIterable {
    case busy
    case idle
    /// Given nothing for now, because task after task failed on it.
    case setAside = "set_aside"
  }

  /// In bytes.
  package struct WorkerMemory: Sendable, Equatable {
    /// What its tasks may use.
    package var limit: Int
    /// What the process has; nil until it has said.
    package var resident: UInt64?
  }

  /// The job's own name, and its model.
  package var job: String
  package var model: String
  /// Seconds of all coordinators of the job.
  package var seconds: Double
  package var pace: JobPace
  package var tunedBlocks: Int?
  package var verifiedBlocks: Int
  package var tasks: [TaskID.Kind: [TaskID.Stage: Int]]
  package var tally: JobTally
  package var workers: [WorkerState: Int]
  /// By the worker's name.
  package var workerMemory: [String: WorkerMemory]
  /// Names of a block's linears.
  package var linears: [String]
  package var errors: MeasuredErrors
  /// Of the coordinator: bytes it has in memory, and when it started, in seconds since 1970.
  package var residentMemory: UInt64
  package var processStart: Double
}
