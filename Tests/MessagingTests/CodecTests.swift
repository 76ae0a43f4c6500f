import Foundation
import Messaging
import Testing

@Suite struct CodecTests {
  @Test func everyWorkerMessageComesBackEqual() throws {
    for message in Sample.workerMessages {
      #expect(try WorkerMessage(frames: try message.frames()) == message)
    }
    #expect(Set(Sample.workerMessages.map(\.kind)).count == 7)
  }

  @Test func everyCoordinatorMessageComesBackEqual() throws {
    for message in Sample.coordinatorMessages {
      #expect(try CoordinatorMessage(frames: try message.frames()) == message)
    }
    #expect(Set(Sample.coordinatorMessages.map(\.kind)).count == 9)
  }

  @Test func everyArtifactMessageComesBackEqual() throws {
    for message in Sample.artifactMessages {
      let frames = try message.frames()
      let data = message.kind == .artifactChunk ? [5] : []
      #expect(try ArtifactMessage(header: frames[0], payload: frames[1], dataLengths: data) == message)
    }
  }

  /// The header's bytes are a promise to other versions.
  @Test func headerIsMagicVersionKind() throws {
    let frames = try WorkerMessage.progress(Sample.progress).frames()
    #expect(frames[0] == Array("CRVQ".utf8) + [9, 0, 3, 0])
  }

  @Test func otherVersionIsNamed() throws {
    var frames = try WorkerMessage.ready(Sample.ready).frames()
    frames[0][4] = 99
    #expect(throws: ProtocolError.otherVersion(99)) { try WorkerMessage(frames: frames) }
    frames[1] = [0xFF, 0xFF]
    #expect(throws: ProtocolError.otherVersion(99)) { try WorkerMessage(frames: frames) }
    #expect(throws: ProtocolError.otherVersion(99)) { try WorkerMessage(frames: [frames[0]]) }
    #expect(ProtocolError.otherVersion(99).description.contains("version 99"))
  }

  @Test func refusalIsReadFromAnyVersion() throws {
    var refuse = WireRefuse()
    refuse.code = .protocolVersion
    refuse.text = "version 99 only"
    var frames = try CoordinatorMessage.refuse(refuse).frames()
    frames[0][4] = 99
    #expect(try CoordinatorMessage(frames: frames) == .refuse(refuse))
  }

  @Test func garbageIsForeign() {
    for header in [[], [0], Array("GET / HT".utf8), Array("crvq".utf8) + [1, 0, 1, 0], Array("CRVQ".utf8)] {
      #expect(throws: ProtocolError.foreign) { try WorkerMessage(frames: [header, []]) }
      #expect(throws: ProtocolError.foreign) { try CoordinatorMessage(frames: [header, []]) }
    }
  }

  @Test func unknownKindIsNamed() {
    let header = Array("CRVQ".utf8) + [9, 0, 0x39, 0x05]
    #expect(throws: ProtocolError.unknownKind(1337)) { try WorkerMessage(frames: [header, []]) }
    #expect(throws: ProtocolError.unknownKind(1337)) {
      try ArtifactMessage(header: header, payload: [], dataLengths: [])
    }
  }

  @Test func messagesOfTheOtherDirectionAreRefused() throws {
    for message in Sample.coordinatorMessages {
      let frames = try message.frames()
      #expect(throws: ProtocolError.unexpectedKind(message.kind)) { try WorkerMessage(frames: frames) }
    }
    for message in Sample.workerMessages {
      let frames = try message.frames()
      #expect(throws: ProtocolError.unexpectedKind(message.kind)) { try CoordinatorMessage(frames: frames) }
      #expect(throws: ProtocolError.unexpectedKind(message.kind)) {
        try ArtifactMessage(header: frames[0], payload: frames[1], dataLengths: [])
      }
    }
  }

  @Test func frameCountIsExact() throws {
    let frames = try WorkerMessage.ready(Sample.ready).frames()
    #expect(throws: ProtocolError.frameCount(expected: 2, got: 0)) { try WorkerMessage(frames: []) }
    #expect(throws: ProtocolError.frameCount(expected: 2, got: 1)) { try WorkerMessage(frames: [frames[0]]) }
    #expect(throws: ProtocolError.frameCount(expected: 2, got: 3)) { try WorkerMessage(frames: frames + [[]]) }
    let chunk = try Sample.artifactMessages[1].frames()
    #expect(throws: ProtocolError.frameCount(expected: 3, got: 2)) {
      try ArtifactMessage(header: chunk[0], payload: chunk[1], dataLengths: [])
    }
    #expect(throws: ProtocolError.frameCount(expected: 3, got: 1)) {
      try ArtifactMessage(header: chunk[0], payload: nil, dataLengths: [])
    }
  }

  @Test func hugePayloadIsRefusedBeforeDecoding() throws {
    let frames = try WorkerMessage.ready(Sample.ready).frames()
    let huge = [UInt8](repeating: 0xFF, count: Envelope.payloadLimit + 1)
    #expect(throws: ProtocolError.oversized(.ready, bytes: huge.count, limit: Envelope.payloadLimit)) {
      try WorkerMessage(frames: [frames[0], huge])
    }
    let chunk = try Sample.artifactMessages[1].frames()
    let limit = ArtifactMessage.chunkLimit
    #expect(throws: ProtocolError.oversized(.artifactChunk, bytes: limit + 1, limit: limit)) {
      try ArtifactMessage(header: chunk[0], payload: chunk[1], dataLengths: [limit + 1])
    }
  }

  /// Every prefix of a payload is malformed or lacks a field that must be there; none is a message equal to the whole.
  @Test func truncatedPayloadIsNeverTheMessage() throws {
    for message in Sample.workerMessages {
      let frames = try message.frames()
      for length in 0..<frames[1].count {
        let decoded = try? WorkerMessage(frames: [frames[0], Array(frames[1].prefix(length))])
        #expect(decoded != message)
      }
    }
  }

  @Test func aLyingLengthIsMalformed() throws {
    // Field 2 (name), length 2^31, no bytes: the decoder must not believe it.
    let payload: [UInt8] = [0x12, 0x80, 0x80, 0x80, 0x80, 0x08]
    let header = try WorkerMessage.ready(Sample.ready).frames()[0]
    #expect(throws: ProtocolError.malformed(.ready)) { try WorkerMessage(frames: [header, payload]) }
  }

  @Test func wrongFieldsAreNamed() throws {
    var ready = Sample.ready
    ready.workerID = Data(0..<15)
    expectInvalid(.ready(ready), "worker_id")
    ready = Sample.ready
    ready.slots = 0
    expectInvalid(.ready(ready), "slots")
    ready = Sample.ready
    ready.name = String(repeating: "x", count: WireLimit.name + 1)
    expectInvalid(.ready(ready), "name")

    var progress = Sample.progress
    progress.clearTask()
    expectInvalid(.progress(progress), "task")
    progress = Sample.progress
    progress.task.kind = .UNRECOGNIZED(99)
    expectInvalid(.progress(progress), "task.kind")
    progress = Sample.progress
    progress.task.linear = ""
    expectInvalid(.progress(progress), "task.linear")

    expectInvalid(.taskDone(Sample.done(Sample.collect, .fit(Sample.fitResult))), "result")
    var done = Sample.done(Sample.fit, .fit(Sample.fitResult))
    done.outputs[0].digest.removeLast()
    expectInvalid(.taskDone(done), "outputs[0].digest")
    done = Sample.done(Sample.fit, .fit(Sample.fitResult))
    done.result = nil
    expectInvalid(.taskDone(done), "result")
    done = Sample.done(Sample.fit, .fit(Sample.fitResult))
    done.outputs[0].size = 1 << 41
    expectInvalid(.taskDone(done), "outputs[0].size")
    for seconds in [-1, .nan, .infinity] {
      done = Sample.done(Sample.fit, .fit(Sample.fitResult))
      done.seconds = seconds
      expectInvalid(.taskDone(done), "seconds")
    }
    var evaluated = WireEvaluateResult()
    evaluated.tokens = .max
    expectInvalid(.taskDone(Sample.done(Sample.task(.evaluate), .evaluate(evaluated))), "evaluate.tokens")

    var failed = Sample.failed
    failed.clearMissing()
    expectInvalid(.taskFailed(failed), "missing")
    failed = Sample.failed
    failed.kind = .unspecified
    expectInvalid(.taskFailed(failed), "kind")
  }

  private func expectInvalid(_ message: WorkerMessage, _ field: String, line: Int = #line) {
    let location = SourceLocation(fileID: #fileID, filePath: #filePath, line: line, column: 1)
    #expect(sourceLocation: location) {
      try message.frames()
    } throws: { error in
      guard case .invalid(message.kind, field, _)? = error as? ProtocolError else { return false }
      return true
    }
  }

  @Test func artifactRangesThatOverflowAreInvalid() throws {
    var request = WireArtifactRequest()
    request.digest = Sample.digest.data
    request.offset = .max
    request.length = 1
    #expect(throws: ProtocolError.self) { try ArtifactMessage.request(request).frames() }
    request.offset = 0
    request.length = UInt32(ArtifactMessage.chunkLimit) + 1
    #expect(throws: ProtocolError.self) { try ArtifactMessage.request(request).frames() }
  }

  @Test func tooManyInputsAreRefusedAtTheSender() {
    var assign = Sample.assign
    assign.inputs = Array(repeating: assign.inputs[0], count: 4097)
    #expect(throws: ProtocolError.self) { try CoordinatorMessage.assign(assign).frames() }
  }

  @Test func textsAreCutAtCharacters() {
    #expect("abc".cut(to: 3) == "abc")
    #expect("aéé".cut(to: 4) == "aé")
    #expect("👩‍👩‍👧x".cut(to: 10).isEmpty)
  }

  /// Damaged frames give a message or one error, whatever the damage. Prints its seed.
  @Test func fuzzedFramesNeverCrash() throws {
    var fuzzing = Fuzzing("fuzzedFramesNeverCrash")
    var originals: [(end: ReceivingEnd, frames: [[UInt8]])] = []
    for message in Sample.workerMessages { originals.append((.coordinator, try message.frames())) }
    for message in Sample.coordinatorMessages { originals.append((.worker, try message.frames())) }
    for message in Sample.artifactMessages {
      originals.append((.artifacts, try ReceivingEnd.withData(message)))
    }
    for (end, frames) in originals { #expect(try end.takes(frames, fuzzing.seed)) }
    var accepted: [ReceivingEnd: Int] = [:]
    var refused: [ReceivingEnd: Int] = [:]
    for _ in 0..<fuzzing.inputs {
      let original = originals[Int.random(in: 0..<originals.count, using: &fuzzing.random)]
      var frames = original.frames
      for _ in 0..<Int.random(in: 1...4, using: &fuzzing.random) { fuzzing.damage(&frames) }
      for end in ReceivingEnd.allCases {
        let isTaken = try end.takes(frames, fuzzing.seed)
        // At the other ends nearly all are refused for their kind, whatever the damage.
        guard end == original.end else { continue }
        if isTaken { accepted[end, default: 0] += 1 } else { refused[end, default: 0] += 1 }
      }
    }
    // Damage to a note or a number goes unnoticed, damage to structure does not: both must have been met.
    for end in ReceivingEnd.allCases {
      #expect(accepted[end, default: 0] > 0, "at \(end), \(fuzzing.seed)")
      #expect(refused[end, default: 0] > 0, "at \(end), \(fuzzing.seed)")
    }
  }
}

/// Where frames arrive that are to be a message.
private enum ReceivingEnd: CaseIterable {
  case coordinator, worker, artifacts

  /// Whether the frames are a message here; else there has been one error. A message can be sent on, and comes back equal.
  func takes(_ frames: [[UInt8]], _ seed: String) throws -> Bool {
    switch self {
    case .coordinator:
      try Self.takes(frames, seed, decode: { try WorkerMessage(frames: $0) }, encode: { try $0.frames() })
    case .worker:
      try Self.takes(frames, seed, decode: { try CoordinatorMessage(frames: $0) }, encode: { try $0.frames() })
    case .artifacts: try Self.takes(frames, seed, decode: Self.artifactMessage, encode: Self.withData)
    }
  }

  private static func takes<Message: Equatable>(
    _ frames: [[UInt8]], _ seed: String, decode: ([[UInt8]]) throws -> Message,
    encode: (Message) throws -> [[UInt8]]
  ) throws -> Bool {
    let message: Message
    do { message = try decode(frames) } catch is ProtocolError { return false }
    do {
      let sent = try encode(message)
      let again = try decode(sent)
      let sentAgain = try encode(again)
      if sent != sentAgain || again != message && !mayHoldNaN(sent[1]) {
        Issue.record("\(message) came back as \(again), \(seed)")
      }
    } catch {
      Issue.record(error, "\(message) cannot be sent on, \(seed)")
    }
    return true
  }

  /// Whether a double in the payload may be no number, which equals nothing.
  private static func mayHoldNaN(_ payload: [UInt8]) -> Bool {
    zip(payload, payload.dropFirst()).contains { $0 >= 0xF0 && $1 & 0x7F == 0x7F }
  }

  private static func artifactMessage(_ frames: [[UInt8]]) throws -> ArtifactMessage {
    try ArtifactMessage(
      header: frames.first ?? [], payload: frames.count > 1 ? frames[1] : nil,
      dataLengths: frames.dropFirst(2).map(\.count))
  }

  static func withData(_ message: ArtifactMessage) throws -> [[UInt8]] {
    try message.frames() + (message.kind == .artifactChunk ? [[1, 2, 3]] : [])
  }
}
