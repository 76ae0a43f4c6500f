import Coordinator
import Foundation
import JobGraph
import Testing

@Suite struct JobTallyTests {
  private let one = WorkerID("one")
  private let other = WorkerID("other")
  private let start = Date(timeIntervalSince1970: 1000)

  private func input(_ size: Int, _ holder: TaskInput.Holder) -> TaskInput {
    TaskInput(index: 0, artifact: ArtifactRef(name: "packed", digest: "", size: size), holder: holder)
  }

  @Test func attemptsAreCountedByHowTheyEnd() {
    var tally = JobTally()
    let fit = TaskID.fit(block: 0, linear: 0)
    tally.started(fit, Lease(number: 1), on: one, inputs: [], at: start)
    tally.ended(Lease(number: 1), .failed, at: start + 1)
    tally.started(fit, Lease(number: 2), on: other, inputs: [], at: start + 2)
    tally.started(.verify(block: 0), Lease(number: 3), on: one, inputs: [], at: start + 2)
    tally.ended(Lease(number: 2), .done, at: start + 4)
    tally.ended(Lease(number: 3), .cancelled, at: start + 4)
    #expect(tally.attempts == [.fit: [.failed: 1, .done: 1], .verify: [.cancelled: 1]])
    #expect(tally.retries == [.fit: 1])
    #expect(tally.seconds.mapValues(\.sum) == [.fit: 2])
    #expect(tally.seconds.mapValues(\.count) == [.fit: 1])
  }

  /// A result whose lease was over, or that came twice.
  @Test func anEndCountsOnce() {
    var tally = JobTally()
    tally.started(.tune(block: 0), Lease(number: 1), on: one, inputs: [], at: start)
    tally.ended(Lease(number: 1), .cancelled)
    tally.ended(Lease(number: 1), .done)
    tally.ended(Lease(number: 7), .done)
    #expect(tally.attempts == [.tune: [.cancelled: 1]])
  }

  @Test func whatAWorkerHadIsLostWithIt() {
    var tally = JobTally()
    tally.started(.collect(block: 0, shard: 0), Lease(number: 1), on: one, inputs: [], at: start)
    tally.started(.collect(block: 0, shard: 1), Lease(number: 2), on: other, inputs: [], at: start)
    tally.left(one, isLost: true)
    tally.left(other, isLost: false)
    #expect(tally.attempts == [.collect: [.lost: 2]])
    #expect(tally.workersLost == 1)
  }

  @Test func bytesAreThoseThatHaveAWayToGo() {
    var tally = JobTally()
    let inputs = [input(1, .worker(one)), input(10, .worker(other)), input(100, .coordinator)]
    tally.started(.verify(block: 0), Lease(number: 1), on: one, inputs: inputs, at: start)
    tally.fetched([ArtifactRef(name: "packed", digest: "", size: 1000)])
    #expect(tally.bytes == [.betweenWorkers: 10, .fromCoordinator: 100, .toCoordinator: 1000])
  }

  @Test func errorsAreThoseOfFitsAndVerifications() {
    var errors = MeasuredErrors()
    func result(_ kind: StoredResult.Kind, _ part: Int, _ record: String) -> StoredResult {
      StoredResult(
        kind: kind, block: 2, part: part, digest: nil, size: nil, record: record, worker: "one", seconds: 1)
    }
    errors.add(
      result(
        .fit, 4,
        #"{"relativeError":0.125,"frobeniusError":1,"bitsCodes":1,"bitsCodebooks":1,"bitsScales":1,"bitsChannelOrder":1,"rounds":3}"#
      ))
    errors.add(result(.verify, 0, #"{"linears":[],"outputError":0.5}"#))
    errors.add(result(.merge, 0, "{}"))
    #expect(errors.relative == [2: [4: 0.125]])
    #expect(errors.output == [2: 0.5])
  }
}
