import Coordinator
import Numerics

/// What `--dry-run` prints.
struct DryRun: Encodable {
  struct Place: Encodable {
    let name: String
    let workers, threads, slots: Int
    let memoryBytes: UInt64?
    let needBytes: UInt64
    let largestTask: String
  }

  let engine: String
  let workers: Int
  let places: [Place]
  /// By this machine's speed.
  let estimatedSeconds: Double
  let gigaflopsPerThread: Double

  init(_ plan: LaunchPlan, _ job: JobShape) {
    engine = plan.engine.rawValue
    workers = plan.workers
    places = plan.places.map {
      Place(
        name: $0.name, workers: $0.workers, threads: $0.threads, slots: $0.slots, memoryBytes: $0.memory?.bytes,
        needBytes: $0.need.total.bytes, largestTask: $0.need.largest.name)
    }
    let speed = TimeEstimate.measuredSpeed(threads: ThreadTeam.availableProcessors)
    let threads = plan.places.reduce(0) { $0 + $1.workers * $1.threads }
    gigaflopsPerThread = speed / 1e9
    estimatedSeconds = TimeEstimate(job).seconds(threads: threads, operationsPerSecond: speed)
  }
}
