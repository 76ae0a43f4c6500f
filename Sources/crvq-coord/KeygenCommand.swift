import ArgumentParser
import Messaging

/// Makes the keys of a job.
struct KeygenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keygen", abstract: "Make the keys by which a coordinator and its workers know each other.",
    discussion: """
      DIR/coordinator.key stays on the coordinator's machine, DIR/worker.key goes to the workers', DIR/allowed to all: it \
      lists who may talk. A key that is there is never overwritten.
      """)

  @Option(
    help: ArgumentHelp("Where the keys go: a directory that is not there yet, or empty.", valueName: "dir"),
    transform: givenPath)
  var output: String

  @Option(
    help: ArgumentHelp("Add a pair of its own for the worker of this --name to keys that are there.", valueName: "name")
  )
  var worker: String?

  func run() throws {
    let directory = absolute(output)
    if let worker {
      try KeyDirectory(directory).addWorker(named: worker)
      report("made \(directory)/\(worker).key for the worker \(worker); copy allowed/\(worker).pub to every machine")
    } else {
      try KeyDirectory.create(at: directory)
      report(
        "made \(directory): coordinator.key stays on the coordinator's machine, worker.key and allowed go to the workers'"
      )
    }
  }
}
