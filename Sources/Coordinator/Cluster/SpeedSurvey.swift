import Foundation
import Machines
import Numerics

/// How fast the places of a plan are, measured where their workers would run.
public struct SpeedSurvey: Sendable {
  /// Floating-point operations a second of one thread, in the order of the plan's places.
  public let speeds: [Double]
  /// The same over all places.
  public let mean: Double
  /// That of all their threads together.
  public let total: Double
  /// A line for each place that could not be measured, and is taken to be as fast as this machine.
  public let notes: [String]

  /// Measures all places at the same time.
  ///
  /// - Parameters:
  ///   - hosts: of a plan for machines that ssh reaches.
  ///   - seconds: for how long.
  public init(_ plan: LaunchPlan, _ cluster: ClusterFile, _ hosts: SSHHosts?, seconds: Double) {
    var found: [String: Result<MatrixSpeed, any Error>] = [:]
    switch plan.engine {
    case .local: break
    case .ssh: found = hosts?.measure(plan.places, seconds: seconds) ?? [:]
    case .slurm:
      for place in plan.places {
        found[place.name] = Result { try SlurmSpeed(place, cluster, seconds: seconds).measure() }
      }
    }
    let isComplete = plan.places.allSatisfy { (try? found[$0.name]?.get()) != nil }
    let own =
      isComplete
      ? 0 : MatrixSpeed.measure(threads: ThreadTeam.availableProcessors, seconds: seconds).operationsPerSecond
    speeds = plan.places.map { (try? found[$0.name]?.get().operationsPerSecond) ?? own }
    let threads = plan.places.map { Double($0.workers * $0.threads) }
    let allThreads = max(1, threads.reduce(0, +))
    // By shares, so that the mean of one place is its speed to the last bit.
    mean = zip(threads, speeds).reduce(0) { $0 + $1.0 / allThreads * $1.1 }
    total = mean * allThreads
    notes = plan.places.compactMap { place in
      guard case .failure(let error) = found[place.name] else { return nil }
      return "\(error); its speed is taken to be this machine's"
    }
  }
}
