import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct AtomicFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func filesComeBackAndAreReplaced() throws {
    let path = directory.file("x.json")
    for text in ["", "{}", String(repeating: "long ", count: 100_000)] {
      try AtomicFile.write(text.utf8, to: path)
      #expect(try AtomicFile.read(path, byteCountMax: 500_000) == Array(text.utf8))
    }
    #expect(try directory.names() == ["x.json"])
    expectError(.malformed, at: path, "at most 499999 bytes") { _ = try AtomicFile.read(path, byteCountMax: 499_999) }
  }

  /// One character, any of twenty thousand, and many: two runs in one directory have others.
  @Test(arguments: [
    String(decoding: [UInt16.random(in: 0x4e00...0x9fff)], as: UTF16.self), "crvq-atomic-\(UUID().uuidString)",
  ])
  func pathInTheWorkingDirectory(name: String) throws {
    // Beside other files, none of which may be harmed.
    try #require(access(name, F_OK) != 0)
    try AtomicFile.write("x".utf8, to: name)
    defer { unlink(name) }
    #expect(try AtomicFile.read(name, byteCountMax: 1) == Array("x".utf8))
  }

  @Test func namesOfAnyLetters() throws {
    // A combining accent makes one character of it and the slash.
    for name in ["\u{301}x", "ä", " ", "a.b."] {
      try AtomicFile.write("x".utf8, to: directory.file(name))
      #expect(try AtomicFile.read(directory.file(name), byteCountMax: 1) == Array("x".utf8))
    }
  }

  @Test func placesThatAreTried() throws {
    try AtomicFile.tryPlace(directory.file("x"))
    #expect(try directory.names() == [])
    let path = directory.file("none/x")
    expectError(.io, at: path, "cannot create: No such file or directory") { try AtomicFile.tryPlace(path) }
  }

  @Test func unreadableFiles() throws {
    let path = directory.file("none")
    expectError(.missing, at: path, "no such file") { _ = try AtomicFile.read(path, byteCountMax: 1) }
    expectError(.malformed, at: directory.path, "expected a regular file, got a directory") {
      _ = try AtomicFile.read(directory.path, byteCountMax: 1)
    }
  }

  /// A pipe that nobody writes into is not waited for.
  @Test func namedPipes() throws {
    let path = directory.file("pipe")
    try #require(mkfifo(path, 0o600) == 0)
    expectError(.malformed, at: path, "expected a regular file") { _ = try AtomicFile.read(path, byteCountMax: 1) }
    expectError(.malformed, at: path, "expected a regular file") { _ = try SafetensorsFile(path: path) }
  }
}

/// A file system that is full, by each means there is.
@Suite(.serialized) struct DiskFullTests {
  /// Works for every user: the kernel refuses to let a file grow beyond a limit of the process. The limit is one that no
  /// other test's files come near, as it holds for all threads.
  @Test func fileSizeLimit() throws {
    let directory = try TemporaryDirectory()
    let limit = 64 << 20
    var old = rlimit()
    #expect(getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old) == 0)
    // Without this the process would be killed instead of told.
    let handler = signal(SIGXFSZ, SIG_IGN)
    var new = rlimit(rlim_cur: rlim_t(limit), rlim_max: old.rlim_max)
    try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &new) == 0)
    defer {
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old)
      signal(SIGXFSZ, handler)
    }
    let path = directory.file("t.safetensors")
    let chunk = [UInt8](repeating: 1, count: 5 << 20)
    let writer = try SafetensorsWriter(
      path: path, tensors: [TensorDeclaration(name: "a", elementType: .uint8, shape: [20 * chunk.count])])
    expectError(.io, at: path, "cannot write: File too large") {
      for _ in 0..<20 { try writer.append(chunk, to: "a") }
    }
    #expect(try directory.names() == [], "the temporary file was left behind")
  }

  /// Whether this process may mount a file system, found by doing so.
  private static let mayMount: Bool = {
    guard let directory = try? TemporaryDirectory(), mount("tmpfs", directory.path, "tmpfs", 0, "size=1m") == 0 else {
      return false
    }
    return umount(directory.path) == 0
  }()

  /// A real full file system.
  @Test(.enabled(if: Self.mayMount, "a full file system needs the right to mount one"))
  func fullFileSystem() throws {
    let directory = try TemporaryDirectory()
    try #require(mount("tmpfs", directory.path, "tmpfs", 0, "size=1m") == 0)
    defer { umount(directory.path) }
    let path = directory.file("t.safetensors")
    try directory.write("t.safetensors", "old")
    let writer = try SafetensorsWriter(
      path: path, tensors: [TensorDeclaration(name: "a", elementType: .uint8, shape: [2 << 20])])
    expectError(.io, at: path, "cannot write: No space left on device") {
      try writer.append([UInt8](repeating: 1, count: 2 << 20), to: "a")
    }
    #expect(try directory.names() == ["t.safetensors"], "the temporary file was left behind")
    #expect(try directory.bytes("t.safetensors") == Array("old".utf8))
    // Its room is free again.
    try AtomicFile.write([UInt8](repeating: 1, count: 1 << 19), to: directory.file("x"))
    expectError(.io, at: directory.file("y"), "No space left") {
      try AtomicFile.write([UInt8](repeating: 1, count: 1 << 20), to: directory.file("y"))
    }
    #expect(try directory.names() == ["t.safetensors", "x"])
  }
}
