import Foundation
import Messaging
import TestSupport
import Testing

@Suite struct KeyDirectoryTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/keys"
  }

  private func mode(_ name: String) throws -> mode_t {
    var status = stat()
    try #require(stat("\(path)/\(name)", &status) == 0)
    return status.st_mode & 0o7777
  }

  private func error(_ party: KeyDirectory.Party) -> KeyError? {
    #expect(throws: KeyError.self) { try KeyDirectory(path).credentials(of: party) }
  }

  @Test func secretsAreTheirOwnersAlone() throws {
    // Whatever the umask, and from the first byte on.
    let old = umask(0)
    defer { umask(old) }
    try KeyDirectory.create(at: path)
    try KeyDirectory(path).addWorker(named: "node-7")
    for name in ["coordinator.key", "worker.key", "node-7.key"] { #expect(try mode(name) == 0o600) }
    #expect(
      try directory.names(in: "keys") == [
        "allowed", "allowed/coordinator.pub", "allowed/node-7.pub", "allowed/worker.pub", "coordinator.key",
        "node-7.key", "worker.key",
      ])
    // And nothing is left of the making.
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["keys"])
  }

  @Test func partiesHaveKeysOfTheirOwn() throws {
    try KeyDirectory.create(at: path)
    let keys = KeyDirectory(path)
    try keys.addWorker(named: "node-7")
    let coordinator = try keys.credentials(of: .coordinator)
    let worker = try keys.credentials(of: .worker(name: "node-8"))
    let named = try keys.credentials(of: .worker(name: "node-7"))
    #expect(Set([coordinator, worker, named].map(\.publicKey)).count == 3)
    // A worker's name chooses a file, and can choose no other's.
    for name in ["coordinator", "../worker", "", ".", "x/y"] {
      #expect(try keys.credentials(of: .worker(name: name)) == worker)
    }
  }

  @Test func keysAreNeverOverwritten() throws {
    try KeyDirectory.create(at: path)
    let before = try KeyDirectory(path).credentials(of: .coordinator)
    let again = #expect(throws: KeyError.self) { try KeyDirectory.create(at: path) }
    #expect(again?.kind == .usage)
    #expect(again?.description == "\(path): exists; keys are never overwritten, choose another directory")
    let worker = #expect(throws: KeyError.self) { try KeyDirectory(path).addWorker(named: "worker") }
    #expect(worker?.description == "\(path)/worker.key: exists; keys are never overwritten")
    #expect(try KeyDirectory(path).credentials(of: .coordinator) == before)
    // An empty directory has no keys to lose.
    try FileManager.default.createDirectory(atPath: directory.path + "/empty", withIntermediateDirectories: true)
    try KeyDirectory.create(at: directory.path + "/empty")
  }

  @Test(arguments: ["", "a/b", "../x", ".hidden", "coordinator", "näme", String(repeating: "x", count: 101)])
  func aNameThatIsNoFileIsRefused(name: String) throws {
    try KeyDirectory.create(at: path)
    #expect(throws: KeyError.self) { try KeyDirectory(path).addWorker(named: name) }
  }

  /// A bundle for a worker elsewhere has names and keys on a line, with spaces between.
  @Test func aPublicFileWhoseNameIsNoneIsNamed() throws {
    try KeyDirectory.create(at: path)
    try FileManager.default.moveItem(atPath: "\(path)/allowed/worker.pub", toPath: "\(path)/allowed/my laptop.pub")
    #expect(error(.coordinator)?.description == "\(path)/allowed/my laptop.pub: no name for a key; rename the file")
  }

  @Test(arguments: [0o640, 0o604, 0o660, 0o610, 0o601, 0o644] as [mode_t])
  func aSecretThatOthersMayUseIsRefused(mode: mode_t) throws {
    try KeyDirectory.create(at: path)
    chmod("\(path)/coordinator.key", mode)
    #expect(
      error(.coordinator)?.description
        == "\(path)/coordinator.key: mode 0\(String(mode, radix: 8)) lets others at this "
        + "secret key, expected 0600; chmod 600 it, or make new keys")
    // Narrower is as good.
    chmod("\(path)/coordinator.key", 0o400)
    _ = try KeyDirectory(path).credentials(of: .coordinator)
  }

  @Test func whatIsMissingIsNamed() throws {
    #expect(error(.coordinator)?.description.contains("keygen") == true)
    try KeyDirectory.create(at: path)
    unlink("\(path)/worker.key")
    #expect(error(.worker(name: "x"))?.path == "\(path)/worker.key")
    unlink("\(path)/allowed/coordinator.pub")
    #expect(error(.coordinator)?.path == "\(path)/allowed/coordinator.pub")
    try FileManager.default.removeItem(atPath: "\(path)/allowed")
    #expect(error(.coordinator)?.path == path)
  }

  @Test func damagedAndForeignFilesAreNamed() throws {
    try KeyDirectory.create(at: path)
    let file = "\(path)/coordinator.key"
    let good = try Data(contentsOf: URL(fileURLWithPath: file))
    for bad in [Data(), good.prefix(30), good + good, Data(count: 1 << 20), try open(file: "coordinator")] {
      // In place, so that the mode stays.
      let handle = try #require(FileHandle(forWritingAtPath: file))
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: bad)
      try handle.close()
      #expect(error(.coordinator)?.path == file)
    }
  }

  @Test func keysOfTwoDirectoriesDoNotMix() throws {
    try KeyDirectory.create(at: path)
    let other = directory.path + "/other"
    try KeyDirectory.create(at: other)
    unlink("\(path)/worker.key")
    try FileManager.default.copyItem(atPath: "\(other)/worker.key", toPath: "\(path)/worker.key")
    #expect(error(.worker(name: "x"))?.path == "\(path)/allowed/worker.pub")
  }

  @Test func oneKeyForTwoNamesIsRefused() throws {
    try KeyDirectory.create(at: path)
    try open(file: "worker").write(to: URL(fileURLWithPath: "\(path)/allowed/zzz.pub"))
    #expect(error(.coordinator)?.description.contains("the same key as worker's") == true)
  }

  private func open(file name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(path)/allowed/\(name).pub"))
  }
}
