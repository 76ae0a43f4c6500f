import Coordinator
import Testing

@Suite struct RateMeterTests {
  /// Ten tasks, at 0 to 9 seconds.
  private var meter: RateMeter {
    var meter = RateMeter()
    for time in 0..<10 { meter.taskFinished(at: Double(time)) }
    return meter
  }

  @Test func aYoungJobIsScaledUp() {
    var meter = self.meter
    #expect(meter.perMinute(at: 1) == 0)
    #expect(meter.perMinute(at: 10) == 60)
    #expect(meter.perMinute(at: 30) == 20)
  }

  /// At 65 seconds those at 5 to 9 are a minute old at most.
  @Test func onlyTheLastMinuteCounts() {
    var meter = self.meter
    #expect(meter.perMinute(at: 60) == 10)
    #expect(meter.perMinute(at: 65) == 5)
    #expect(meter.perMinute(at: 69.5) == 0)
  }

  @Test func theRestGoesAsWhatWasSeen() {
    var meter = RateMeter()
    #expect(meter.remaining(done: 0, of: 100, at: 0) == nil)
    #expect(meter.remaining(done: 10, of: 100, at: 5) == nil)
    #expect(meter.remaining(done: 10, of: 100, at: 30) == 270)
    #expect(meter.remaining(done: 100, of: 100, at: 300) == 0)
  }

  /// What another coordinator has done took none of this one's time.
  @Test func whatWasDoneBeforeDoesNotCount() {
    var meter = RateMeter()
    #expect(meter.remaining(done: 40, of: 100, at: 10) == nil)
    #expect(meter.remaining(done: 50, of: 100, at: 20) == 100)
  }
}
