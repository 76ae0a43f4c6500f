import Machines

/// What would run where, and whether it can: decided from a cluster file, machines and shapes, before anything is started.
public struct LaunchPlan: Sendable, Equatable {
  /// Workers that are alike, on one machine or on any node that Slurm gives.
  public struct Place: Sendable, Equatable {
    /// The machine's name; "slurm" for an array.
    public let name: String
    public let workers: Int
    /// Threads of each.
    public let threads: Int
    public let slots: Int
    /// What each may use; nil where nothing is said.
    public let memory: ByteSize?
    /// What each needs.
    public let need: MemoryNeed
  }

  public let engine: ClusterFile.Engine
  public let places: [Place]

  public var workers: Int { places.reduce(0) { $0 + $1.workers } }

  /// Workers of this machine: as many as were asked for, else one for every two cores as far as memory goes.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` for a plan that does not fit, with what would.
  public init(local cluster: ClusterFile, machine: Machine, job: JobShape) throws(CoordinatorError) {
    engine = .local
    places = [try Self.place(machine, workers: cluster.workers, cluster.worker, job, atLeastOne: false)]
  }

  /// Workers of machines that ssh reaches; those that could not be asked are left out.
  ///
  /// - Throws: as ``init(local:machine:job:)``.
  public init(
    ssh cluster: ClusterFile, machines: [Machine], job: JobShape
  ) throws(CoordinatorError) {
    engine = .ssh
    var places: [Place] = []
    for host in cluster.hosts {
      guard let machine = machines.first(where: { $0.name == host.name }) else { continue }
      places.append(try Self.place(machine, workers: host.workers, host.worker, job, atLeastOne: true))
    }
    self.places = places
  }

  /// Workers of a job array. Slurm finds the nodes; each worker asks for what it needs and a quarter more, unless the file says.
  ///
  /// - Throws: as ``init(local:machine:job:)``.
  public init(slurm cluster: ClusterFile, job: JobShape) throws(CoordinatorError) {
    engine = .slurm
    let (threads, slots) = (cluster.worker.threads ?? 1, cluster.worker.slots)
    let need = MemoryNeed(job, threads: threads, slots: slots)
    if let memory = cluster.worker.memory, memory < need.total {
      throw Self.refusal("a worker of slurm", need, has: memory, job, threads: threads)
    }
    let asked = ByteSize(bytes: UInt64(ByteSize(bytes: Double(need.total.bytes) * 1.25).mebibytes) << 20)
    places = [
      Place(
        name: "slurm", workers: cluster.workersInAll, threads: threads, slots: slots,
        memory: cluster.worker.memory ?? asked, need: need)
    ]
  }

  private static func place(
    _ machine: Machine, workers asked: Int?, _ worker: ClusterFile.Worker, _ job: JobShape, atLeastOne: Bool
  ) throws(CoordinatorError) -> Place {
    // One worker of many threads a machine fits once and shares what its tasks read; on this machine two show the same faults
    // as a cluster does.
    let usual = atLeastOne ? 1 : max(1, machine.cores / 2)
    func sized(_ workers: Int) -> (threads: Int, need: MemoryNeed) {
      let threads = worker.threads ?? max(worker.slots, machine.cores / workers)
      return (threads, MemoryNeed(job, threads: threads, slots: worker.slots))
    }
    func fits(_ workers: Int) -> Bool {
      let need = sized(workers).need.total
      if let memory = worker.memory, memory < need { return false }
      return Double(need.bytes) * Double(workers) <= Double(machine.memory.bytes)
    }
    let workers = asked ?? (1...usual).last(where: fits) ?? 1
    let (threads, need) = sized(workers)
    if let memory = worker.memory, memory < need.total {
      throw refusal("a worker on \(machine.name)", need, has: memory, job, threads: threads)
    }
    guard fits(workers) else {
      if workers > 1, let fitting = (1..<workers).last(where: fits) {
        throw .usage(
          "\(machine.name): \(workers) workers need \(need.total) each (\(need.largest.name)), "
            + "\(machine.memory) is available; \(fitting) would fit")
      }
      throw refusal(machine.name, need, has: machine.memory, job, threads: threads)
    }
    return Place(
      name: machine.name, workers: workers, threads: threads, slots: worker.slots, memory: worker.memory, need: need)
  }

  /// Says what would fit: fewer slots, smaller shards, or else more memory.
  private static func refusal(
    _ name: String, _ need: MemoryNeed, has memory: ByteSize, _ job: JobShape, threads: Int
  ) -> CoordinatorError {
    let problem = "\(name): a worker needs \(need.total) (\(need.largest.name)), \(memory) is available"
    if need.slots > 1, MemoryNeed(job, threads: threads, slots: 1).total <= memory {
      return .usage("\(problem); one slot in place of \(need.slots) would fit")
    }
    // Smaller shards help where hidden states are what is too much.
    let sequences = job.sequences
    for shards in stride(
      from: job.shards.count * 2, through: min(sequences, JobOptions.shardsMax), by: max(1, job.shards.count))
    {
      var smaller = job
      smaller.shards = Array(repeating: (sequences + shards - 1) / shards, count: shards)
      if MemoryNeed(smaller, threads: threads, slots: 1).total <= memory {
        return .usage("\(problem); --shards \(shards) would fit")
      }
    }
    let least = MemoryNeed(job, threads: threads, slots: 1).total
    return .usage("\(problem); it takes a machine with at least \(least) for a worker of one slot")
  }
}

extension LaunchPlan {
  /// A table for people.
  public var text: String {
    var lines = ["engine \(engine.rawValue), \(workers.counted("worker"))"]
    for place in places {
      let memory = place.memory.map { ", may use \($0)" } ?? ""
      lines.append(
        "  \(place.name): \(place.workers) × \(place.threads.counted("thread")), \(place.slots.counted("slot")), "
          + "needs \(place.need.total) each\(memory)")
    }
    if let need = places.first?.need {
      lines.append("memory of a worker's tasks at their largest:")
      lines += need.tasks.map { "  \("\($0.size)".leftPadded(to: 10))  \($0.name)" }
    }
    return lines.joined(separator: "\n")
  }
}
