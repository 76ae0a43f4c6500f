import CRVQ
import Coordinator
import Foundation
import TestSupport
import Testing

/// What is known of the places of a job and its output before there is anything.
@Suite struct JobPlacesTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func write(_ files: [String]) throws {
    for file in files {
      try FileManager.default.createDirectory(
        atPath: (directory.file(file) as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try directory.write(file, "mine")
    }
  }

  private func check(output: String, job: String) throws {
    let options = JobOptions(
      model: "/m", calibration: "/c", output: directory.file(output), fit: FitOptions(), propagation: .teacher,
      sequences: 8, heldOut: 1, shards: 4, maximumRelativeError: nil)
    try PreparedJob.checkPlaces(of: options, in: directory.file(job))
  }

  @Test(arguments: [
    [], ["there/lost+found/#1", "there/.nfs01"], ["there/job.sqlite"], ["there/job.sqlite", "there/notes"],
    ["there/lock"],
    ["there/lock", "there/log/coordinator.log", "there/artifacts/mine", "there/keys/worker.key"],
  ]) func aJobsOwnDirectoryIsGoodAndNothingIsMade(files: [String]) throws {
    try write(files)
    let before = try directory.names()
    try check(output: "out/of/here", job: "there")
    #expect(try directory.names() == before)
  }

  @Test(
    arguments: [
      ("out", "job", "out/mine", "out: exists; remove it or choose another --output", 64),
      ("out", "out/job", "mine", "lies in --output", 64),
      ("out", "there", "there/config.json", "there: is no job's directory, it has config.json in it", 64),
      ("file/out", "job", "file", "file/out: cannot make the output directory: Not a directory", 74),
      ("out", "file", "file", "file: cannot be the job directory: Not a directory", 74),
      ("out", "file/job", "file", "file/job: cannot be the job directory: Not a directory", 74),
      ("out", "job", "out.incomplete", "out.incomplete: is in the way", 64),
      ("out", "job", "out.incomplete/mine", "out.incomplete: is in the way", 64),
      ("out", "job", "out.incomplete.lock", "out.incomplete.lock: is in the way", 64),
      ("out", "job", "out.incomplete.lock/mine", "out.incomplete.lock: is in the way", 64),
    ] as [(String, String, String, String, Int32)])
  func othersAreRefusedByName(output: String, job: String, file: String, expected: String, exitCode: Int32) throws {
    try write([file])
    let before = try directory.names()
    let error = #expect(throws: CoordinatorError.self) { try check(output: output, job: job) }
    #expect(error?.exitCode == exitCode)
    #expect(error?.description.contains(expected) == true)
    #expect(try directory.names() == before)
  }

  @Test func aLinkThatLeadsNowhereIsInTheWay() throws {
    try FileManager.default.createSymbolicLink(
      atPath: directory.file("out"), withDestinationPath: directory.file("nowhere"))
    #expect(throws: CoordinatorError.usage("\(directory.file("out")): exists; remove it or choose another --output")) {
      try check(output: "out", job: "job")
    }
  }

  /// A process that was killed leaves its lock's file, which is empty, and a directory.
  @Test func whatThisProgramLeftIsNotInTheWay() throws {
    try directory.write("out.incomplete.lock", "")
    try check(output: "out", job: "job")
    let path = directory.file("out.incomplete")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    try check(output: "out", job: "job")
    #expect(try directory.names() == ["out.incomplete", "out.incomplete.lock"])
    try FileManager.default.removeItem(atPath: path)
    try directory.write("out.incomplete", "mine")
    let error = #expect(throws: CoordinatorError.self) { try check(output: "out", job: "job") }
    #expect(error?.exitCode == 64)
  }

  /// Beside the output there is "NAME.incomplete.lock" while it is written.
  @Test func aNameThatIsTooLongAtTheEndIsFoundBefore() throws {
    try check(output: String(repeating: "o", count: 239), job: "job")
    let name = String(repeating: "o", count: 240)
    let error = #expect(throws: CoordinatorError.self) { try check(output: name, job: "job") }
    #expect(error?.exitCode == 74)
    #expect(error?.description.hasSuffix("\(name): cannot make the output directory: File name too long") == true)
    #expect(try directory.names() == [])
  }

  @Test(arguments: ["lock", "job.sqlite", "job"]) func whatIsRemovedUnderAJobIsNoticed(what: String) throws {
    let job = try JobDirectory(directory.file("job"))
    let store = try JobStore(path: job.databasePath)
    #expect(!job.isLockGone && !store.isGone)
    try FileManager.default.removeItem(atPath: what == "job" ? job.path : job.path + "/" + what)
    #expect(job.isLockGone == (what != "job.sqlite"))
    #expect(store.isGone == (what != "lock"))
    if what == "job.sqlite" { return }
    // Another can have it now, and looks at a lock of its own.
    let second = try JobDirectory(job.path)
    #expect(!second.isLockGone && job.isLockGone)
  }

  @Test func aPipeIsNoFileOfAJob() throws {
    let path = directory.file("job")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    for name in ["lock", "job.sqlite"] { #expect(mkfifo("\(path)/\(name)", 0o600) == 0) }
    #expect(!JobDirectory.isHeld(path))
    let locked = #expect(throws: CoordinatorError.self) { try JobDirectory(path) }
    #expect(locked?.exitCode == 74)
    #expect(locked?.description == "\(path)/lock: expected a file, got something else; remove it")
    for readOnly in [false, true] {
      let stored = #expect(throws: CoordinatorError.self) {
        try JobStore(path: JobDirectory.databasePath(in: path), readOnly: readOnly)
      }
      #expect(stored?.exitCode == 65)
    }
    #expect(unlink(path + "/lock") == 0)
    let job = try JobDirectory(path)
    try FileManager.default.createDirectory(atPath: job.logPath, withIntermediateDirectories: false)
    #expect(mkfifo(job.logPath + "/coordinator.log", 0o600) == 0)
    let logged = #expect(throws: CoordinatorError.self) { _ = try job.logger() }
    #expect(logged?.exitCode == 74)
  }
}
