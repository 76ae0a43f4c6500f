/// What `--dry-run` prints.
public struct DryRun: Encodable, Sendable {
  public struct Place: Encodable, Sendable {
    public let name: String
    public let workers, threads, slots: Int
    public let memoryBytes: UInt64?
    public let needBytes: UInt64
    public let largestTask: String
    public let gigaflopsPerThread: Double
  }

  public let engine: String
  public let workers: Int
  public let places: [Place]
  public let estimatedSeconds: Double
  /// Over all places.
  public let gigaflopsPerThread: Double

  public init(_ plan: LaunchPlan, _ job: JobShape, _ survey: SpeedSurvey) {
    engine = plan.engine.rawValue
    workers = plan.workers
    places = zip(plan.places, survey.speeds).map { place, speed in
      Place(
        name: place.name, workers: place.workers, threads: place.threads, slots: place.slots,
        memoryBytes: place.memory?.bytes, needBytes: place.need.total.bytes, largestTask: place.need.largest.name,
        gigaflopsPerThread: speed / 1e9)
    }
    gigaflopsPerThread = survey.mean / 1e9
    estimatedSeconds = TimeEstimate(job).seconds(operationsPerSecond: survey.total)
  }
}
