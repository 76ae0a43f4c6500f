import Foundation
import Messaging
import Synchronization
import TestSupport
import Testing

/// Lines that a context has for the log.
private final class Lines: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }

  func append(_ line: String) { lines.withLock { $0.append(line) } }

  /// The lines once there are `count`.
  func await(_ count: Int) -> [String] {
    let deadline = ContinuousClock.now + patience
    while all.count < count, .now < deadline { Thread.sleep(forTimeInterval: 0.005) }
    return all
  }
}

/// The keys of a job in a directory of their own.
private struct Keys {
  let directory: KeyDirectory

  init(_ path: String) throws {
    try KeyDirectory.create(at: path)
    directory = KeyDirectory(path)
  }

  var coordinator: SocketSecurity { get throws { .curve(try directory.credentials(of: .coordinator)) } }
  var worker: SocketSecurity { get throws { .curve(try directory.credentials(of: .worker(name: ""))) } }

  /// A worker with keys of this directory that believes in the coordinator of another.
  func worker(knowing other: Keys) throws -> SocketSecurity {
    let name = "allowed/coordinator.pub"
    try FileManager.default.removeItem(atPath: "\(directory.path)/\(name)")
    try FileManager.default.copyItem(atPath: "\(other.directory.path)/\(name)", toPath: "\(directory.path)/\(name)")
    return try worker
  }
}

@Suite struct SecurityTests {
  private let directory: TemporaryDirectory
  private let keys: Keys
  private let others: Keys
  private let lines = Lines()
  /// Of the party that listens.
  private let here: ZMQContext

  init() throws {
    directory = try TemporaryDirectory()
    keys = try Keys(directory.path + "/keys")
    others = try Keys(directory.path + "/others")
    here = try ZMQContext { [lines] in lines.append($0) }
  }

  private func coordinator(_ security: SocketSecurity? = nil) throws -> CoordinatorLink {
    try CoordinatorLink(binding: "tcp://127.0.0.1:*", context: here, security: security ?? keys.coordinator)
  }

  /// A worker in a context, and so a process, of its own.
  private func worker(_ endpoint: String, _ security: SocketSecurity) throws -> WorkerLink {
    var clocks = WorkerLink.Clocks()
    clocks.introduction = .milliseconds(50)
    return try WorkerLink(
      connecting: endpoint, as: Sample.ready, context: ZMQContext(), security: security, clocks: clocks)
  }

  private func ready(_ coordinator: CoordinatorLink) -> Peer? {
    let deadline = ContinuousClock.now + patience
    while let event = coordinator.next(until: deadline) {
      if case .message(.ready, let peer) = event { return peer }
    }
    return nil
  }

  /// The next reason why the worker's connection fails, one that is final if asked for.
  private func unsuited(_ worker: WorkerLink, isFinal: Bool) -> String? {
    let deadline = ContinuousClock.now + patience
    while let event = worker.next(until: deadline) {
      if case .unsuited(let reason, let itIs) = event, itIs || !isFinal { return reason }
    }
    return nil
  }

  // MARK: Control

  @Test func coordinatorAndWorkerKnowEachOther() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint, keys.worker)
    let peer = try #require(ready(coordinator))
    #expect(try peer.key == keys.worker.publicKey)
    #expect(peer.address == "127.0.0.1")
    try coordinator.send(.welcome(Sample.welcome), to: peer)
    let deadline = ContinuousClock.now + patience
    var welcome: WireWelcome?
    while welcome == nil, let event = worker.next(until: deadline) {
      if case .message(.welcome(let message)) = event { welcome = message }
    }
    #expect(welcome == Sample.welcome)
    #expect(lines.all == [])
  }

  enum Knock: CaseIterable {
    case noKey, unknownKey, keysOfAnotherJob, coordinatorsOwnKey
  }

  private func security(_ knock: Knock) throws -> SocketSecurity {
    switch knock {
    case .noKey: .plain
    // Knows whom it talks to, as the key of the coordinator is no secret.
    case .unknownKey: try others.worker(knowing: keys)
    case .keysOfAnotherJob: try others.worker
    case .coordinatorsOwnKey: try keys.coordinator
    }
  }

  private func line(_ knock: Knock) throws -> String {
    let start = "refused a connection from 127.0.0.1: "
    return switch knock {
    case .noKey: start + "it shows no key"
    case .unknownKey: start + "its key is not allowed, \(try others.worker.publicKey?.description ?? "")"
    case .keysOfAnotherJob: start + "it uses the keys of another job"
    case .coordinatorsOwnKey: start + "its key is not allowed, \(try keys.coordinator.publicKey?.description ?? "")"
    }
  }

  @Test(arguments: Knock.allCases) func whoeverHasNotTheRightKeysIsRefusedAndLoggedOnce(knock: Knock) throws {
    let coordinator = try coordinator()
    let security = try security(knock)
    let strangers = try (0..<3).map { _ in try self.worker(coordinator.endpoint, security) }
    for stranger in strangers {
      // Whose keys are of another job sees no more than a connection that is closed.
      #expect(unsuited(stranger, isFinal: knock != .keysOfAnotherJob) != nil)
    }
    let worker = try worker(coordinator.endpoint, keys.worker)
    let peer = try #require(ready(coordinator))
    #expect(try peer.key == keys.worker.publicKey)
    // Strangers knock until told off, so one of them is there long enough for its address.
    let expected = try line(knock)
    let deadline = ContinuousClock.now + patience
    while !lines.all.contains(expected), .now < deadline { Thread.sleep(forTimeInterval: 0.005) }
    #expect(lines.all.filter { !$0.contains(" a peer that was gone at once: ") } == [expected])
    withExtendedLifetime((worker, strangers)) {}
  }

  @Test func aWorkerTalksToItsCoordinatorOnly() throws {
    for impostor in [SocketSecurity.plain, try others.coordinator] {
      let context = try ZMQContext { _ in }
      let link = try CoordinatorLink(binding: "tcp://127.0.0.1:*", context: context, security: impostor)
      let worker = try worker(link.endpoint, keys.worker)
      #expect(unsuited(worker, isFinal: false) != nil)
      #expect(link.next(until: .now + .milliseconds(50)) == nil)
    }
  }

  // MARK: Artifacts

  private func fetch(_ artifact: Artifact, _ holder: ArtifactHolder, _ security: SocketSecurity) throws -> Data {
    let target = try ArtifactStore(directory: directory.path + "/\(UUID().uuidString)", durability: .cache)
    var policy = ArtifactClient.Policy()
    policy.rounds = 1
    policy.chunkLength = 4 << 20
    let client = try ArtifactClient(context: ZMQContext(), security: security, policy: policy)
    try client.fetch(artifact, from: [holder], into: target)
    return try bytes(target.file(artifact.digest))
  }

  private func server(_ data: Data) throws -> (server: ArtifactServer, artifact: Artifact) {
    let store = try ArtifactStore(directory: directory.path + "/source", durability: .cache)
    let artifact = try store.put(data)
    let server = try ArtifactServer(
      binding: "tcp://127.0.0.1:*", serving: store, context: here, security: keys.worker)
    return (server, artifact)
  }

  /// Chunks of the longest length: encryption makes them longer, and the limit must let them pass.
  @Test func artifactsTravelBetweenThoseWhoMay() throws {
    let data = patterned(9 << 20)
    let (server, artifact) = try server(data)
    let holder = ArtifactHolder(server.endpoint, key: try keys.worker.publicKey)
    for security in [try keys.worker, try keys.coordinator] {
      #expect(try fetch(artifact, holder, security) == data)
    }
    #expect(lines.all == [])
  }

  @Test(arguments: [Knock.noKey, .unknownKey, .keysOfAnotherJob])
  func artifactsAreForThoseWhoMay(knock: Knock) throws {
    let (server, artifact) = try server(patterned(1000))
    let key = try keys.worker.publicKey
    let security = try security(knock)
    func knockOnce() -> ArtifactError? {
      #expect(throws: ArtifactError.self) {
        try fetch(artifact, ArtifactHolder(server.endpoint, key: key), security)
      }
    }
    let error = knockOnce()
    if knock == .noKey {
      #expect(
        error?.description.contains("handshake failed") == true || error?.description.contains("same keys") == true)
      // A fetch gives up so fast that its address may not be there any more; it is when it comes again and again.
      let expected = try line(knock)
      let deadline = ContinuousClock.now + patience
      while !lines.all.contains(expected), .now < deadline { _ = knockOnce() }
      #expect(lines.all.filter { $0 == expected }.count == 1)
      #expect(lines.all.allSatisfy { $0.hasSuffix(": it shows no key") && $0.hasPrefix("refused ") })
    } else {
      // Its own list does not have the holder, so it does not even ask.
      #expect(error?.description.contains("not among the allowed") == true)
    }
    #expect(server.bytesServed == 0)
    let holder = ArtifactHolder(server.endpoint, key: key)
    #expect(try fetch(artifact, holder, keys.worker) == patterned(1000))
  }

  @Test func aHolderWithAnotherKeyIsNotBelieved() throws {
    let (server, artifact) = try server(patterned(1000))
    for key in [nil, try others.worker.publicKey, try keys.coordinator.publicKey] {
      #expect(throws: ArtifactError.self) {
        try fetch(artifact, ArtifactHolder(server.endpoint, key: key), keys.worker)
      }
    }
    #expect(server.bytesServed == 0)
  }

  @Test func framesOverTheLimitEndTheirConnectionWithKeysToo() throws {
    let (server, artifact) = try server(patterned(1000))
    let socket = try ZMQSocket(.dealer, context: ZMQContext(), limits: .artifactClient)
    try keys.worker.connect(socket, to: server.endpoint, of: .holder(keys.worker.publicKey))
    let limit = SocketLimits.artifactServer.frameBytes
    // The longest frame is read, and is no request.
    #expect(try socket.send([[UInt8](repeating: 0, count: limit)]) == .sent)
    let deadline = ContinuousClock.now + patience
    while server.refusals < 1, .now < deadline { Thread.sleep(forTimeInterval: 0.002) }
    #expect(server.refusals == 1)
    #expect(try socket.send([[UInt8](repeating: 0, count: limit + 1)]) == .sent)
    let holder = ArtifactHolder(server.endpoint, key: try keys.worker.publicKey)
    #expect(try fetch(artifact, holder, keys.worker) == patterned(1000))
    #expect(server.refusals == 1)
  }

  @Test func onlyTheJobsOwnStoreIsServed() throws {
    let (server, old) = try server(patterned(1000))
    let store = try ArtifactStore(directory: directory.path + "/next", durability: .cache)
    let new = try store.put(patterned(2000))
    let holder = ArtifactHolder(server.endpoint, key: try keys.worker.publicKey)
    #expect(try fetch(old, holder, keys.worker) == patterned(1000))
    server.serve(store)
    let error = #expect(throws: ArtifactError.self) { try fetch(old, holder, keys.worker) }
    #expect(error?.description.contains(old.digest.short) == true)
    #expect(try fetch(new, holder, keys.worker) == patterned(2000))
  }

  // MARK: Endpoints

  @Test func whatOthersReachAsksForKeys() throws {
    for endpoint in ["tcp://0.0.0.0:*", "tcp://*:*", "tcp://[::]:*"] {
      let error = #expect(throws: MessagingError.self) {
        try CoordinatorLink(binding: endpoint, context: here)
      }
      #expect(error == .unprotected(endpoint))
      #expect(throws: MessagingError.unprotected(endpoint)) {
        try ArtifactServer(binding: endpoint, serving: nil, context: here)
      }
    }
    _ = try CoordinatorLink(binding: "tcp://0.0.0.0:*", context: here, security: .insecure)
    _ = try CoordinatorLink(binding: "tcp://0.0.0.0:*", context: here, security: keys.coordinator)
    // Sockets of one process answer to one list.
    #expect(throws: MessagingError.otherKeys) {
      try CoordinatorLink(binding: "tcp://0.0.0.0:*", context: here, security: others.coordinator)
    }
  }

  @Test func whetherAnEndpointMayBeBoundIsKnownBefore() throws {
    try SocketSecurity.plain.check(binding: "tcp://localhost:*")
    try SocketSecurity.insecure.check(binding: "tcp://0.0.0.0:1")
    try keys.coordinator.check(binding: "tcp://0.0.0.0:1")
    #expect(throws: MessagingError.unprotected("tcp://0.0.0.0:1")) {
      try SocketSecurity.plain.check(binding: "tcp://0.0.0.0:1")
    }
    for security in [SocketSecurity.plain, .insecure, try keys.coordinator] {
      #expect(throws: MessagingError.self) { try security.check(binding: "localhost") }
    }
  }

  @Test func namesAreNoLoopbackAddresses() throws {
    for host in ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"] { #expect(Endpoint(host: host, port: 1).isLoopback) }
    for host in ["127.0.0.1.example", "127.example", "127.0.0", "127.0.0.256", "128.0.0.1", "head", "*"] {
      #expect(!Endpoint(host: host, port: 1).isLoopback)
    }
  }
}
