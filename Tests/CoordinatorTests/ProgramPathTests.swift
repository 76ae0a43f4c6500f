import Coordinator
import Foundation
import TestSupport
import Testing

@Suite struct ProgramPathTests {
  private let directory: TemporaryDirectory
  private let program: String

  init() throws {
    directory = try TemporaryDirectory()
    program = directory.file("crvq-no-such-program")
  }

  private func make(mode: mode_t) throws {
    try directory.write("crvq-no-such-program", [])
    #expect(chmod(program, mode) == 0)
  }

  private var found: String? { ProgramPath.find("crvq-no-such-program", firstIn: directory.path) }

  @Test func aProgramIsFound() throws {
    try make(mode: 0o755)
    #expect(found == program)
    #expect(ProgramPath.find("sh")?.hasSuffix("/sh") == true)
  }

  @Test func aFileThatCannotRunIsNone() throws {
    try make(mode: 0o644)
    #expect(found == nil)
  }

  @Test func aDirectoryIsNone() throws {
    try FileManager.default.createDirectory(atPath: program, withIntermediateDirectories: false)
    #expect(found == nil)
  }

  @Test func whatIsNowhereIsNamed() {
    let error = #expect(throws: CoordinatorError.self) { try ProgramPath.require("crvq-no-such-program") }
    #expect(error?.description.hasPrefix("crvq-no-such-program: not on the PATH") == true)
  }
}
