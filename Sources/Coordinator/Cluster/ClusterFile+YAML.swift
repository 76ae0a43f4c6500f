import Checkpoint
import Foundation
import Yams

extension ClusterFile {
  /// The longest file that is read.
  static let byteCountMax = 1 << 18

  /// Reads a cluster file. Relative paths in it start from where it lies.
  ///
  /// - Throws: ``CoordinatorError`` `.badInput` that begins with FILE:LINE:COLUMN, and says what is expected and what is there.
  public init(path: String) throws {
    let bytes: [UInt8]
    do { bytes = try AtomicFile.read(path, byteCountMax: Self.byteCountMax) } catch {
      throw CoordinatorError.badInput("\(error)")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CoordinatorError.badInput("\(path): not UTF-8 text")
    }
    try self.init(yaml: text, path: path)
  }

  /// As ``init(path:)`` for a text in memory; `path` appears in messages.
  public init(yaml text: String, path: String) throws {
    do {
      guard let root = try Yams.compose(yaml: text) else {
        throw YAMLMistake(path, nil, "is empty, expected a cluster file: at least engine: local, ssh or slurm")
      }
      self = try ClusterFileReader(root, path: path).read()
    } catch let mistake as YAMLMistake {
      throw CoordinatorError.badInput("\(mistake)")
    } catch let error as YamlError {
      throw CoordinatorError.badInput("\(Self.mistake(error, path))")
    }
  }

  private static func mistake(_ error: YamlError, _ path: String) -> YAMLMistake {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      YAMLMistake(path, mark, "no YAML: \(problem)")
    case .duplicatedKeysInMapping(let keys, let context):
      YAMLMistake(path, context.mark, "expected each key once, got more of \(keys.sorted().joined(separator: ", "))")
    case .reader(let problem, _, _, _): YAMLMistake(path, nil, "no YAML: \(problem)")
    default: YAMLMistake(path, nil, "no YAML: \(error)")
    }
  }
}

/// Goes through the keys of a cluster file.
private struct ClusterFileReader {
  private static let common = [
    "engine", "workers", "threads", "slots", "memory", "program", "scratch", "interface", "keys", "environment",
  ]
  private static let own: [ClusterFile.Engine: [String]] = [
    .local: [],
    .ssh: ["hosts", "options"],
    .slurm: ["partition", "nodes", "throttle", "time", "options"],
  ]
  private static let hostsMax = 1024
  private static let optionsMax = 256

  private let section: YAMLSection

  init(_ root: Node, path: String) throws {
    let own = Set(Self.own.values.joined()).sorted()
    section = try YAMLSection(root, path: path, name: "a cluster file", keys: Self.common + own)
  }

  func read() throws -> ClusterFile {
    var file = ClusterFile(engine: try engine())
    try checkKeys(of: file.engine)
    file.workers = try section.integer("workers", 1...ClusterFile.workersMax)
    file.worker = try worker(section, default: ClusterFile.Worker())
    file.program = try section.absolutePath("program")
    file.scratch = try section.absolutePath("scratch")
    file.interface = try section.word("interface")
    file.keys = try section.text("keys").map { keys in
      let folder = URL(fileURLWithPath: section.path).deletingLastPathComponent()
      return URL(fileURLWithPath: keys, relativeTo: folder).standardizedFileURL.path
    }
    file.options = try section.list("options", of: "words", atMost: Self.optionsMax).map {
      try section.text($0, of: "options")
    }
    file.environment = try environment()
    switch file.engine {
    case .local: break
    case .ssh: file.hosts = try hosts(file)
    case .slurm:
      file.slurm = try slurm()
      try requireForSlurm(file)
    }
    try checkWorkers(of: file)
    return file
  }

  private func engine() throws -> ClusterFile.Engine {
    let names = ClusterFile.Engine.allCases.map(\.rawValue).joined(separator: ", ")
    guard let node = section.node("engine") else {
      throw YAMLMistake(section.path, section.mark, "engine: expected one of \(names), got nothing")
    }
    guard let engine = ClusterFile.Engine(rawValue: try section.text(node, of: "engine")) else {
      throw section.mistake(node, "engine", "one of \(names)")
    }
    return engine
  }

  /// A key of another engine would be without effect.
  private func checkKeys(of engine: ClusterFile.Engine) throws {
    let known = Set(Self.common + (Self.own[engine] ?? []))
    for (name, mark) in section.keys where !known.contains(name) {
      let others = ClusterFile.Engine.allCases.filter { Self.own[$0]?.contains(name) == true }
      let engines = others.map(\.rawValue).joined(separator: " or ")
      throw YAMLMistake(
        section.path, mark, "\(name): expected with engine \(engines) only, got engine \(engine.rawValue)")
    }
  }

  private func worker(_ section: YAMLSection, default other: ClusterFile.Worker) throws -> ClusterFile.Worker {
    let limits = 1...ClusterFile.threadsMax
    let worker = ClusterFile.Worker(
      threads: try section.integer("threads", limits) ?? other.threads,
      slots: try section.integer("slots", limits) ?? other.slots,
      memory: try section.size("memory") ?? other.memory)
    if let threads = worker.threads, worker.slots > threads {
      if let node = section.node("slots") {
        throw section.mistake(node, "slots", "at most as many as threads (\(threads))")
      }
      if let node = section.node("threads") {
        throw section.mistake(node, "threads", "at least as many as slots (\(worker.slots))")
      }
    }
    return worker
  }

  private func environment() throws -> [String: String] {
    try section.texts("environment").reduce(into: [:]) { environment, entry in
      let name = entry.name.string
      let isName = name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil
      guard isName else {
        throw section.mistake(.scalar(entry.name), "environment", "names of letters, digits and '_'")
      }
      environment[name] = entry.value
    }
  }

  private func hosts(_ file: ClusterFile) throws -> [ClusterFile.Host] {
    let nodes = try section.list("hosts", of: "hosts", atMost: Self.hostsMax)
    if nodes.isEmpty {
      throw YAMLMistake(
        section.path, section.node("hosts")?.mark ?? section.mark, "hosts: expected at least one host, got none")
    }
    var hosts: [ClusterFile.Host] = []
    for node in nodes {
      let host = try host(node, file)
      if hosts.contains(where: { $0.name == host.name }) {
        throw section.mistake(
          node, "hosts", "each host once; use workers for more than one on it", got: "\(host.name) again")
      }
      hosts.append(host)
    }
    return hosts
  }

  private func host(_ node: Node, _ file: ClusterFile) throws -> ClusterFile.Host {
    if case .scalar = node {
      return ClusterFile.Host(name: try section.word(node, of: "hosts"), workers: file.workers, worker: file.worker)
    }
    let keys = ["host", "workers", "threads", "slots", "memory"]
    let host = try YAMLSection(node, path: section.path, name: "a host", keys: keys)
    guard let name = try host.word("host") else {
      throw YAMLMistake(section.path, host.mark, "host: expected the name of a host, got nothing")
    }
    return ClusterFile.Host(
      name: name, workers: try host.integer("workers", 1...ClusterFile.workersMax) ?? file.workers,
      worker: try worker(host, default: file.worker))
  }

  private func slurm() throws -> ClusterFile.Slurm {
    let limits = 1...ClusterFile.workersMax
    let time = try section.word("time")
    if let time, let node = section.node("time"), time.wholeMatch(of: /(\d+-)?\d+(:\d+){0,2}/) == nil {
      throw section.mistake(node, "time", "a limit as sbatch takes it, such as 04:00:00 or 1-12:00:00")
    }
    return ClusterFile.Slurm(
      partition: try section.word("partition"), nodes: try section.integer("nodes", limits) ?? 1,
      throttle: try section.integer("throttle", limits), time: time)
  }

  /// Slurm gives a task one core unless it is told otherwise: a default here would be wrong on every cluster but one.
  private func requireForSlurm(_ file: ClusterFile) throws {
    if file.worker.threads == nil {
      throw YAMLMistake(
        section.path, section.mark, "threads: expected the cores of a worker for engine slurm, got nothing")
    }
  }

  private func checkWorkers(of file: ClusterFile) throws {
    let machines = file.engine == .ssh ? "hosts" : "nodes"
    if file.workersInAll > ClusterFile.workersMax, let node = section.node(machines) {
      throw section.mistake(
        node, machines, "at most \(ClusterFile.workersMax) workers in all", got: "\(file.workersInAll)")
    }
  }
}
