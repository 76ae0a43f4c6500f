import Coordinator

/// What `--dry-run` prints.
struct DryRun: Encodable {
  struct Place: Encodable {
    let name: String
    let workers, threads, slots: Int
    let memoryBytes: UInt64?
    let needBytes: UInt64
    let largestTask: String
    let gigaflopsPerThread: Double
  }

  let engine: String
  let workers: Int
  let places: [Place]
  let estimatedSeconds: Double
  /// Over all places.
  let gigaflopsPerThread: Double

  init(_ plan: LaunchPlan, _ job: JobShape, _ survey: SpeedSurvey) {
    engine = plan.engine.rawValue
    workers = plan.workers
    places = zip(plan.places, survey.speeds).map { place, speed in
      Place(
        name: place.name, workers: place.workers, threads: place.threads, slots: place.slots,
        memoryBytes: place.memory?.bytes, needBytes: place.need.total.bytes, largestTask: place.need.largest.name,
        gigaflopsPerThread: speed / 1e9)
    }
    let threads = plan.places.map { Double($0.workers * $0.threads) }
    let allThreads = max(1, threads.reduce(0, +))
    // By shares, so that the mean of one place is its speed to the last bit.
    let mean = zip(threads, survey.speeds).reduce(0) { $0 + $1.0 / allThreads * $1.1 }
    gigaflopsPerThread = mean / 1e9
    estimatedSeconds = TimeEstimate(job).seconds(operationsPerSecond: mean * allThreads)
  }
}
