import Foundation

/// What is said to sbatch: one task of the array is one worker.
package struct SlurmScript: Sendable, Equatable {
  /// Before the time limit, and when a task is preempted, the worker is told so many seconds ahead.
  private static let noticeSeconds = 60
  private static let patience = 60.0
  private static let name = "CRVQ_WORKER_NAME"

  package let place: LaunchPlan.Place
  package let cluster: ClusterFile
  package let keys: WorkerKeys
  package let program: String
  package let logDirectory: String

  package init(
    _ place: LaunchPlan.Place, _ cluster: ClusterFile, keys: WorkerKeys, program: String, logDirectory: String
  ) {
    self.place = place
    self.cluster = cluster
    self.keys = keys
    self.program = program
    self.logDirectory = logDirectory
  }

  /// The words after `sbatch`; the script comes on standard input. What the file says comes last, and so wins.
  package var arguments: [String] {
    let throttle = cluster.slurm.throttle.map { "%\($0)" } ?? ""
    var words = [
      "--parsable", "--job-name=\(WorkerCommand.programName)", "--array=0-\(place.workers - 1)\(throttle)",
      "--ntasks=1", "--cpus-per-task=\(place.threads)", "--requeue", "--open-mode=append",
      "--output=\(logDirectory)/slurm-%a.log", "--signal=B:TERM@\(Self.noticeSeconds)",
    ]
    if let memory = place.memory { words.append("--mem=\(memory.mebibytes)M") }
    if let partition = cluster.slurm.partition { words.append("--partition=\(partition)") }
    if let time = cluster.slurm.time { words.append("--time=\(time)") }
    return words + cluster.options
  }

  /// Runs sbatch.
  ///
  /// - Parameter options: of sbatch, in front of ``arguments``.
  /// - Throws: ``CoordinatorError`` if there is none.
  func submit(_ options: [String] = [], connecting endpoint: String) throws -> ShortProcess {
    // A file, which has no name any more: the environment of a cluster file may be more than a pipe holds.
    guard let file = tmpfile() else {
      throw CoordinatorError.io("the script for sbatch: \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    let input = FileHandle(fileDescriptor: fileno(file), closeOnDealloc: false)
    try input.write(contentsOf: Data(text(connecting: endpoint).utf8))
    try input.seek(toOffset: 0)
    return try ShortProcess.run("sbatch", options + arguments, input: input, within: Self.patience)
  }

  /// The worker takes the place of the shell, so that Slurm's signals reach it. Its memory is bounded by Slurm.
  package func text(connecting endpoint: String) -> String {
    let command = WorkerCommand(Self.name, place, cluster, keys: keys)
    let words = [program] + command.arguments(connecting: endpoint)
    let line = words.map { word in
      word.split(separator: Self.name, omittingEmptySubsequences: false)
        .map { $0.isEmpty && word.contains(Self.name) ? "" : ShellWord.quoted(String($0)) }
        .joined(separator: "\"$worker\"")
    }
    let environment = cluster.environment.sorted { $0.key < $1.key }
      .map { "export \($0.key)=\(ShellWord.quoted($0.value))\n" }.joined()
    return """
      #!/bin/sh
      # A worker of a crvq job, started by crvq-coord.
      worker=slurm-$SLURM_ARRAY_TASK_ID
      \(environment)# When the allocation ends; not all versions of Slurm say so.
      if [ -z "$SLURM_JOB_END_TIME" ]; then
        end=$(date -d "$(squeue -h -j "$SLURM_JOB_ID" -o %e)" +%s 2>/dev/null) && export SLURM_JOB_END_TIME="$end"
      fi
      exec \(line.joined(separator: " "))

      """
  }
}
