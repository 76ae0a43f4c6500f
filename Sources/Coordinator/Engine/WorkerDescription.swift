import JobGraph
import Messaging

/// What a worker said of itself when it joined.
package struct WorkerDescription: Sendable, Equatable {
  let id: WorkerID
  /// For people: logs, reports, the display.
  let name: String
  let host: String
  let pid: Int
  let threads: Int
  let slots: Int
  /// What its tasks may use, in bytes.
  let memory: Int
  /// The kernels its BLAS chose.
  let cpu: String
  /// Where its artifacts are served.
  let artifactEndpoint: String
  /// The key it has proved to have; nil where the job has no keys.
  let key: PublicKey?

  package init(
    id: WorkerID, name: String, host: String, pid: Int, threads: Int, slots: Int, memory: Int, cpu: String,
    artifactEndpoint: String, key: PublicKey?
  ) {
    self.id = id
    self.name = name
    self.host = host
    self.pid = pid
    self.threads = threads
    self.slots = slots
    self.memory = memory
    self.cpu = cpu
    self.artifactEndpoint = artifactEndpoint
    self.key = key
  }

  var artifactHolder: ArtifactHolder { ArtifactHolder(artifactEndpoint, key: key) }
}
