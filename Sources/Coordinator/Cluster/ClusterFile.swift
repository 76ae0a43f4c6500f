import Machines

/// Where a job's workers run, as a file says it: the engine that starts them, on what, and how each is run.
///
/// `cluster/README.md` lists the keys. The set is closed, and a key that means nothing to the engine is a mistake.
public struct ClusterFile: Sendable, Equatable {
  /// What starts the workers.
  public enum Engine: String, Sendable, CaseIterable {
    /// This machine.
    case local
    /// Machines that the OpenSSH client reaches.
    case ssh
    /// A job array of Slurm.
    case slurm
  }

  /// How each worker is run. What is nil is left to the engine's defaults.
  public struct Worker: Sendable, Equatable {
    /// Threads of one worker, over all its slots.
    public var threads: Int?
    /// Tasks at a time.
    public var slots = 1
    /// What one worker may use.
    public var memory: ByteSize?

    public init(threads: Int? = nil, slots: Int = 1, memory: ByteSize? = nil) {
      self.threads = threads
      self.slots = slots
      self.memory = memory
    }
  }

  /// A machine that ssh reaches.
  public struct Host: Sendable, Equatable {
    /// As on the command line of ssh: a name of its configuration, `user@host`, an address.
    public var name: String
    /// Workers on it; nil for as many as the file says for all.
    public var workers: Int?
    public var worker: Worker

    public init(name: String, workers: Int? = nil, worker: Worker = Worker()) {
      self.name = name
      self.workers = workers
      self.worker = worker
    }
  }

  /// What only Slurm has.
  public struct Slurm: Sendable, Equatable {
    public var partition: String?
    /// Workers are asked for as `nodes` times `workers`.
    public var nodes = 1
    /// The most workers at a time; nil for no limit.
    public var throttle: Int?
    /// A time limit in Slurm's notation; nil for the partition's.
    public var time: String?

    public init(partition: String? = nil, nodes: Int = 1, throttle: Int? = nil, time: String? = nil) {
      self.partition = partition
      self.nodes = nodes
      self.throttle = throttle
      self.time = time
    }
  }

  public var engine: Engine
  public var hosts: [Host] = []
  public var slurm = Slurm()
  /// Workers a machine or node; nil for the engine's default.
  public var workers: Int?
  public var worker = Worker()
  /// The worker program on the machines of workers; nil to find it, or to bring it along.
  public var program: String?
  /// A directory on the machines of workers for Grams, hidden states and results; nil for the temporary directory.
  public var scratch: String?
  /// The coordinator's network interface ("ib0") or address that workers connect to.
  public var interface: String?
  /// The directory with the job's keys, absolute.
  public var keys: String?
  /// Further words for the engine's own command: ssh, or sbatch.
  public var options: [String] = []
  /// Set for every worker.
  public var environment: [String: String] = [:]

  public init(engine: Engine) { self.engine = engine }

  /// ``environment`` as words for `env`.
  var environmentWords: [String] { environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" } }

  /// Workers on all machines; one that nothing is said of counts as having one.
  public var workersInAll: Int {
    switch engine {
    case .local: workers ?? 1
    case .ssh: hosts.reduce(0) { $0 + ($1.workers ?? 1) }
    case .slurm: slurm.nodes * (workers ?? 1)
    }
  }

  /// Has so many workers on each machine or node, whatever the file says.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` for more than ``workersMax`` in all.
  public mutating func setWorkers(_ count: Int) throws(CoordinatorError) {
    workers = count
    for index in hosts.indices { hosts[index].workers = count }
    if workersInAll > Self.workersMax {
      throw .usage("--workers is \(count): \(workersInAll) workers in all, expected at most \(Self.workersMax)")
    }
  }

  /// The most workers that are started, on all machines.
  public static let workersMax = 4096
  /// The most threads and slots of a worker.
  public static let threadsMax = 1024
}
