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
}
