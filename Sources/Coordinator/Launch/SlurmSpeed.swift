import Machines

/// How fast the nodes are on which Slurm would start workers: a step on all of them, if they are free at once.
package struct SlurmSpeed {
  private static let patience = 60.0

  let place: LaunchPlan.Place
  let cluster: ClusterFile
  let seconds: Double

  package init(_ place: LaunchPlan.Place, _ cluster: ClusterFile, seconds: Double) {
    self.place = place
    self.cluster = cluster
    self.seconds = seconds
  }

  /// The words after `srun`. What the file says comes before the program, and so wins.
  package func arguments(program: String) -> [String] {
    let minutes = Int((seconds + Self.patience) / 60) + 1
    // As many as ever run at a time.
    let tasks = min(place.workers, cluster.slurm.throttle ?? place.workers)
    var words = [
      "--job-name=crvq-measure", "--immediate=\(Int(Self.patience))", "--ntasks=\(tasks)",
      "--cpus-per-task=\(place.threads)", "--time=\(minutes)",
    ]
    if let memory = place.memory { words.append("--mem-per-cpu=\(max(1, memory.mebibytes / UInt64(place.threads)))M") }
    if let partition = cluster.slurm.partition { words.append("--partition=\(partition)") }
    let measure = [program, "--measure", "\(seconds)", "--threads", "\(place.threads)"]
    return words + cluster.options + ["env"] + cluster.environmentWords + measure
  }

  /// - Returns: the mean of all workers.
  /// - Throws: ``CoordinatorError`` that says why it could not be measured.
  func measure() throws -> MatrixSpeed {
    let program = try LocalLauncher.program(of: cluster)
    let done = try ShortProcess.run("srun", arguments(program: program), within: 2 * Self.patience + seconds)
    let speeds = done.output.split(whereSeparator: \.isNewline).compactMap { MatrixSpeed(line: $0) }
    guard !speeds.isEmpty else {
      let reason = done.end == .exited(0) ? "no speed among its output" : done.lastError ?? "\(done.end)"
      throw CoordinatorError.io("slurm: srun: \(reason)")
    }
    let mean = speeds.reduce(0) { $0 + $1.operationsPerSecond } / Double(speeds.count)
    return MatrixSpeed(threads: place.threads, operationsPerSecond: mean)
  }
}
