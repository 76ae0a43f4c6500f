import Foundation
import Machines
import Messaging
import Synchronization

/// Hosts as ssh reaches them now: asked what they are, and given the worker program where they have none.
public final class SSHHosts: Sendable {
  /// Hosts asked at a time.
  private static let atATime = 32
  /// A host that has not answered for so long does not.
  private static let patience = 60.0
  /// To bring the program to a host.
  private static let copyPatience = 600.0
  private static let answerMax = 1 << 16

  let cluster: ClusterFile
  /// Our own worker program, to be brought to hosts without one.
  private let ownProgram: String
  private let ownArtifact: Artifact
  /// What `crvq-worker --version` says of a program that fits.
  private let version: String

  /// - Throws: ``CoordinatorError`` if this machine has no worker program to bring along, ``ArtifactError`` if it cannot be read.
  public init(_ cluster: ClusterFile, version: String) throws {
    self.cluster = cluster
    self.version = version
    ownProgram = try LocalLauncher.findProgram()
    ownArtifact = try OpenFile(ownProgram).artifact()
  }

  /// Asks all hosts at the same time.
  ///
  /// - Returns: what each is, or why it is out of reach, in the order of the file.
  public func probe() -> [(host: ClusterFile.Host, machine: Result<Machine, CoordinatorError>)] {
    let hosts = cluster.hosts
    let answers = each(hosts) { [self] host in
      let probe = try ask(host)
      return Machine(name: host.name, cores: probe.cores, memory: probe.memory)
    }
    return zip(hosts, answers).map { host, answer in
      (host, answer.mapError { ($0 as? CoordinatorError) ?? .internal("\($0)") })
    }
  }

  /// Measures all places at the same time, each with the threads that it would have.
  ///
  /// - Returns: by name; a host that has no worker program yet is not measured.
  func measure(_ places: [LaunchPlan.Place], seconds: Double) -> [String: Result<MatrixSpeed, any Error>] {
    let answers = each(places) { [self] place in
      guard let host = cluster.hosts.first(where: { $0.name == place.name }) else {
        throw CoordinatorError.usage("\(place.name): not in the cluster file")
      }
      guard case .there(let program) = try ask(host).source(program: cluster.program, version: version) else {
        throw CoordinatorError.usage("\(place.name): has no crvq-worker yet")
      }
      let measure = [program, "--measure", "\(seconds)", "--threads", "\(place.workers * place.threads)"]
      let words = ["env"] + cluster.environmentWords + measure
      let answer = try run(host, script: "\"$@\"", words, within: Self.patience + seconds)
      guard let speed = answer.split(whereSeparator: \.isNewline).compactMap({ MatrixSpeed(line: $0) }).first else {
        throw CoordinatorError.io("\(place.name): \(program) --measure does not answer")
      }
      return speed
    }
    return Dictionary(zip(places.map(\.name), answers), uniquingKeysWith: { $1 })
  }

  /// Does the same for all items, some at a time.
  private func each<Item: Sendable, Answer: Sendable>(
    _ items: [Item], _ body: @escaping @Sendable (Item) throws -> Answer
  ) -> [Result<Answer, any Error>] {
    let answers = Mutex([Result<Answer, any Error>?](repeating: nil, count: items.count))
    let next = Atomic(0)
    let group = DispatchGroup()
    for _ in 0..<min(Self.atATime, items.count) {
      group.enter()
      let thread = Thread {
        while true {
          let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
          if index >= items.count { break }
          let answer = Result { try body(items[index]) }
          answers.withLock { $0[index] = answer }
        }
        group.leave()
      }
      thread.name = "ssh-probe"
      thread.start()
    }
    group.wait()
    return answers.withLock { $0 }.compactMap { $0 }
  }

  /// - Throws: ``CoordinatorError``: one line that names the host.
  func ask(_ host: ClusterFile.Host) throws -> HostProbe {
    let words = [String(ownArtifact.digest.hex.prefix(32)), cluster.program ?? ""]
    let answer = try run(host, script: HostProbe.script, words, within: Self.patience)
    guard let probe = HostProbe(answer: answer, program: cluster.program) else {
      throw CoordinatorError.io("\(host.name): no Linux machine with a POSIX shell answers there")
    }
    if probe.source(program: cluster.program, version: version) == .missing, let program = cluster.program {
      throw CoordinatorError.usage("\(host.name): \(program): not there, or not a program")
    }
    return probe
  }

  /// The path of a worker program on the host, brought there if need be.
  func program(on host: ClusterFile.Host, _ probe: HostProbe) throws -> String {
    switch probe.source(program: cluster.program, version: version) {
    case .there(let path): return path
    case .missing: throw CoordinatorError.usage("\(host.name): no worker program")
    case .brought(let directory):
      guard let file = FileHandle(forReadingAtPath: ownProgram) else {
        throw CoordinatorError.io("\(ownProgram): cannot be read")
      }
      defer { try? file.close() }
      _ = try run(
        host, script: RemoteWorker.receive, [directory, WorkerCommand.programName, "\(ownArtifact.size)"], input: file,
        within: Self.copyPatience)
      return "\(directory)/\(WorkerCommand.programName)"
    }
  }

  /// - Returns: standard output.
  private func run(
    _ host: ClusterFile.Host, script: String, _ words: [String], input: FileHandle? = nil,
    within patience: Double
  ) throws -> String {
    let ssh = SSHCommand(host: host.name, options: cluster.options)
    let done = try ShortProcess.run(
      "ssh", ssh.arguments(script: script, words), input: input, within: patience, outputMax: Self.answerMax)
    guard done.end == .exited(0) else {
      let words = done.lastError ?? "\(done.end)"
      throw CoordinatorError.io("\(host.name): \(words)")
    }
    return done.output
  }
}
