import JobGraph

extension JobSnapshot {
  /// All that `/metrics` tells, named by the conventions of Prometheus. Those of a coordinator begin anew when the job is resumed.
  package var metrics: [MetricFamily] {
    jobMetrics + taskMetrics + [artifactBytes] + workerMetrics + errorMetrics + processMetrics
  }

  private var jobMetrics: [MetricFamily] {
    var info = MetricFamily("crvq_job", .info, help: "The job and its model.")
    info.add(1, ["job_id": job, "model": model])
    var progress = MetricFamily(
      "crvq_job_progress_ratio", .gauge, unit: "ratio", help: "Share of the work that is done.")
    progress.add(pace.progress)
    var elapsed = MetricFamily(
      "crvq_job_elapsed_seconds", .gauge, unit: "seconds", help: "Time that coordinators have spent on the job.")
    elapsed.add(seconds)
    var remaining = MetricFamily(
      "crvq_job_remaining_seconds", .gauge, unit: "seconds",
      help: "Time to the end by the rate so far; missing while there is none.")
    if let seconds = pace.remainingSeconds { remaining.add(seconds) }
    var blocks = MetricFamily("crvq_job_blocks", .gauge, help: "Blocks of the model.")
    blocks.add(Double(pace.blocks))
    var done = MetricFamily("crvq_job_blocks_done", .gauge, help: "Blocks that have come so far.")
    done.add(Double(pace.collectedBlocks), ["stage": "collected"])
    done.add(Double(pace.fittedBlocks), ["stage": "fitted"])
    if let tunedBlocks { done.add(Double(tunedBlocks), ["stage": "tuned"]) }
    done.add(Double(verifiedBlocks), ["stage": "verified"])
    return [info, progress, elapsed, remaining, blocks, done]
  }

  private var taskMetrics: [MetricFamily] {
    var tasks = MetricFamily("crvq_tasks", .gauge, help: "Tasks of the job by kind and state.")
    var attempts = MetricFamily(
      "crvq_task_attempts", .counter, help: "Attempts at tasks that have ended, by kind and outcome.")
    var retries = MetricFamily(
      "crvq_task_retries", .counter, help: "Attempts at tasks that had been given out before, by kind.")
    var seconds = MetricFamily(
      "crvq_task_duration_seconds", .histogram, unit: "seconds",
      help: "Time from giving a task to a worker to its result, by kind.")
    for kind in TaskID.Kind.allCases {
      guard let stages = self.tasks[kind] else { continue }
      for stage in TaskID.Stage.allCases {
        tasks.add(Double(stages[stage] ?? 0), ["kind": kind.rawValue, "state": stage.rawValue])
      }
      // Only coordinators before this one have abandoned any.
      for outcome in AttemptOutcome.allCases where outcome != .abandoned {
        let count = tally.attempts[kind]?[outcome] ?? 0
        attempts.add(Double(count), ["kind": kind.rawValue, "outcome": outcome.rawValue])
      }
      retries.add(Double(tally.retries[kind] ?? 0), ["kind": kind.rawValue])
      seconds.add(tally.seconds[kind] ?? .taskSeconds, ["kind": kind.rawValue])
    }
    return [tasks, attempts, retries, seconds]
  }

  private var artifactBytes: MetricFamily {
    var bytes = MetricFamily(
      "crvq_artifact_bytes", .counter, unit: "bytes",
      help: "Sizes of results that came home and of inputs that tasks were given, by who has them and who wants them.")
    for route in JobTally.Route.allCases {
      let (source, destination) =
        switch route {
        case .betweenWorkers: ("worker", "worker")
        case .fromCoordinator: ("coordinator", "worker")
        case .toCoordinator: ("worker", "coordinator")
        }
      bytes.add(tally.bytes[route] ?? 0, ["source": source, "destination": destination])
    }
    return bytes
  }

  private var workerMetrics: [MetricFamily] {
    var states = MetricFamily("crvq_workers", .gauge, help: "Workers that are part of the job, by state.")
    for state in WorkerState.allCases { states.add(Double(workers[state] ?? 0), ["state": state.rawValue]) }
    var lost = MetricFamily("crvq_workers_lost", .counter, help: "Workers that died or fell silent.")
    lost.add(Double(tally.workersLost))
    var limit = MetricFamily(
      "crvq_worker_memory_limit_bytes", .gauge, unit: "bytes", help: "Memory that a worker's tasks may use.")
    var resident = MetricFamily(
      "crvq_worker_resident_memory_bytes", .gauge, unit: "bytes",
      help: "Resident memory of a worker, with that of files that it maps.")
    for (name, memory) in workerMemory.sorted(by: { $0.key < $1.key }) {
      limit.add(Double(memory.limit), ["worker": name])
      if let bytes = memory.resident { resident.add(Double(bytes), ["worker": name]) }
    }
    return [states, lost, limit, resident]
  }

  private var errorMetrics: [MetricFamily] {
    var relative = MetricFamily(
      "crvq_linear_relative_error_ratio", .gauge, unit: "ratio",
      help: "Share of a fitted linear's output energy that is lost, on the tokens it was fitted on.")
    for (block, errors) in errors.relative.sorted(by: { $0.key < $1.key }) {
      for (linear, error) in errors.sorted(by: { $0.key < $1.key }) where linears.indices.contains(linear) {
        relative.add(error, ["block": "\(block)", "linear": linears[linear]])
      }
    }
    var output = MetricFamily(
      "crvq_block_output_error_ratio", .gauge, unit: "ratio",
      help: "Share of a verified block's output energy that is lost, on tokens that no fit has seen.")
    for (block, error) in errors.output.sorted(by: { $0.key < $1.key }) { output.add(error, ["block": "\(block)"]) }
    return [relative, output]
  }

  private var processMetrics: [MetricFamily] {
    var memory = MetricFamily(
      "process_resident_memory_bytes", .gauge, unit: "bytes", help: "Resident memory of the coordinator.")
    memory.add(Double(residentMemory))
    var start = MetricFamily(
      "process_start_time_seconds", .gauge, unit: "seconds", help: "Start of the coordinator since the Unix epoch.")
    start.add(processStart)
    return [memory, start]
  }
}
