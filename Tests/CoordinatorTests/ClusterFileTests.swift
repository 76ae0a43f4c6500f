import Coordinator
import Machines
import Testing

@Suite struct ClusterFileTests {
  private func read(_ yaml: String) throws -> ClusterFile { try ClusterFile(yaml: yaml, path: "/etc/crvq/c.yaml") }

  @Test func everyKeyOfSSHIsRead() throws {
    let file = try read(
      """
      engine: ssh
      hosts:
        - node1
        - host: ada@node2
          workers: 2
          threads: 4
          memory: 8G
      workers: 1
      threads: 16
      slots: 2
      memory: 32G
      program: /opt/crvq/crvq-worker
      scratch: /scratch
      interface: ib0
      keys: keys
      options: ["-p", "2222"]
      environment:
        OPENBLAS_CORETYPE: Haswell
        EMPTY: ""
      """)
    let worker = ClusterFile.Worker(threads: 16, slots: 2, memory: ByteSize("32G"))
    #expect(
      file.hosts == [
        ClusterFile.Host(name: "node1", workers: 1, worker: worker),
        ClusterFile.Host(
          name: "ada@node2", workers: 2, worker: ClusterFile.Worker(threads: 4, slots: 2, memory: ByteSize("8G"))),
      ])
    #expect(file.worker == worker)
    #expect(file.program == "/opt/crvq/crvq-worker")
    #expect(file.scratch == "/scratch")
    #expect(file.interface == "ib0")
    // Beside the file.
    #expect(file.keys == "/etc/crvq/keys")
    #expect(file.options == ["-p", "2222"])
    #expect(file.environment == ["OPENBLAS_CORETYPE": "Haswell", "EMPTY": ""])
  }

  @Test func everyKeyOfSlurmIsRead() throws {
    let file = try read(
      """
      engine: slurm
      partition: cpu
      nodes: 8
      workers: 2
      threads: 32
      throttle: 4
      time: 1-12:00:00
      options: ["--constraint=avx512"]
      """)
    #expect(file.slurm == ClusterFile.Slurm(partition: "cpu", nodes: 8, throttle: 4, time: "1-12:00:00"))
    #expect(file.options == ["--constraint=avx512"])
  }

  @Test(arguments: [
    ("engine: ssh\nhosts: [a]\nthread: 3", "3:1: 'thread' is no key of a cluster file; expected one of engine,"),
    ("workers: 3", "1:1: engine: expected one of local, ssh, slurm, got nothing"),
    ("engine: pbs", "1:9: engine: expected one of local, ssh, slurm, got 'pbs'"),
    ("engine: local\npartition: cpu", "2:1: partition: expected with engine slurm only, got engine local"),
    ("engine: local\noptions: [-v]", "2:1: options: expected with engine ssh or slurm only, got engine local"),
    ("engine: local\nworkers: many", "2:10: workers: expected a whole number from 1 to 4096, got 'many'"),
    ("engine: local\nthreads: 0", "2:10: threads: expected a whole number from 1 to 1024, got '0'"),
    ("engine: local\nthreads: 2\nslots: 3", "3:8: slots: expected at most as many as threads (2), got '3'"),
    ("engine: local\nmemory: lots", "2:9: memory: expected a number with K, M, G or T, such as 16G, got 'lots'"),
    ("engine: local\nscratch: here", "2:10: scratch: expected an absolute path, as the machines of workers have it"),
    ("engine: local\nworkers: [1]", "2:10: workers: expected a whole number from 1 to 4096, got a list"),
    ("engine: local\nengine: ssh", "1:1: expected each key once, got more of engine"),
    ("engine: ssh", "1:1: hosts: expected at least one host, got none"),
    ("engine: ssh\nhosts: node1", "2:8: hosts: expected a list of hosts, got 'node1'"),
    ("engine: ssh\nhosts: [a, b, a]", "2:15: hosts: expected each host once; use workers for more than one on it"),
    ("engine: ssh\nhosts: [-oProxyCommand=x]", "2:9: hosts: expected a name without spaces that does not begin with"),
    ("engine: ssh\nhosts:\n  - workers: 2", "3:5: host: expected the name of a host, got nothing"),
    ("engine: ssh\nhosts:\n  - host: a\n    cores: 2", "4:5: 'cores' is no key of a host; expected one of host,"),
    ("engine: ssh\nhosts: [a]\nenvironment:\n  A-B: c", "4:3: environment: expected names of letters, digits and '_'"),
    ("engine: ssh\nhosts: [a]\nenvironment:\n  A: \"b\\nc\"", "4:6: environment.A: expected a text without control"),
    ("engine: slurm\npartition: cpu", "1:1: threads: expected the cores of a worker for engine slurm, got nothing"),
    ("engine: slurm\nthreads: 1\ntime: soon", "3:7: time: expected a limit as sbatch takes it, such as 04:00:00"),
    ("engine: slurm\nthreads: 1\nnodes: 4096\nworkers: 2", "3:8: nodes: expected at most 4096 workers in all, got 819"),
    ("engine: ssh\nworkers: 2049\nhosts: [a, b]", "3:8: hosts: expected at most 4096 workers in all, got 4098"),
    ("- engine: local", "1:1: expected a cluster file as a mapping of keys to values, got a list"),
    ("engine: [", "2:1: no YAML: did not find expected node content"),
    ("", "1:1: is empty, expected a cluster file"),
  ])
  func everyMistakeIsOneLineWithItsPlace(yaml: String, expected: String) throws {
    let error = #expect(throws: CoordinatorError.self) { try read(yaml) }
    let line = "\(try #require(error))"
    #expect(line.hasPrefix("/etc/crvq/c.yaml:\(expected)"), "\(line)")
    #expect(!line.contains("\n"))
    #expect(error?.exitCode == 65)
  }

  @Test func workersOfTheCommandLineAreBoundedAsThoseOfTheFile() throws {
    var slurm = try read("engine: slurm\nthreads: 1\nnodes: 1024")
    try slurm.setWorkers(4)
    #expect(slurm.workersInAll == 4096)
    #expect(throws: CoordinatorError.usage("--workers is 4096: 4194304 workers in all, expected at most 4096")) {
      try slurm.setWorkers(4096)
    }
    var ssh = try read("engine: ssh\nhosts: [a, {host: b, workers: 7}]")
    #expect(ssh.workersInAll == 8)
    try ssh.setWorkers(2048)
    #expect(ssh.hosts.map(\.workers) == [2048, 2048])
    #expect(throws: CoordinatorError.usage("--workers is 2049: 4098 workers in all, expected at most 4096")) {
      try ssh.setWorkers(2049)
    }
    var local = try read("engine: local")
    try local.setWorkers(4096)
    #expect(local.workersInAll == 4096)
  }

  @Test(arguments: [("1K", 1024), ("16g", 16 << 30), ("3M", 3 << 20), ("1048576", 1 << 20)])
  func sizesAreRead(text: String, bytes: UInt64) { #expect(ByteSize(text)?.bytes == bytes) }

  @Test(arguments: ["", "G", "0", "16", "1048575", "-1G", "1.5G", "1P", "99999999999T", "1 G"])
  func otherSizesAreNot(text: String) { #expect(ByteSize(text) == nil) }

  @Test func sizesReadNaturally() {
    #expect("\(ByteSize(bytes: UInt64(1000)))" == "1000 bytes")
    #expect("\(ByteSize(bytes: UInt64(3 << 29)))" == "1.5 GiB")
    #expect(ByteSize(bytes: UInt64(1 << 20 + 1)).mebibytes == 2)
    #expect(ByteSize(bytes: .infinity).bytes == 1 << 63)
  }
}
