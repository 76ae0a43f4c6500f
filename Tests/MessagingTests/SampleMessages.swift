import Foundation
import Messaging

/// One message of every kind, each field set to something that is not its default.
enum Sample {
  static let digest = Digest.of(Array("sample".utf8))
  static let artifact = Artifact(digest: digest, size: 12_345)
  static let fit = task(.fit, block: 3, linear: "self_attn.q_proj")
  static let collect = task(.collect, block: 2, shard: 5)

  static func task(_ kind: WireTaskKind, block: UInt32 = 0, shard: UInt32 = 0, linear: String = "") -> WireTaskID {
    var task = WireTaskID()
    task.kind = kind
    task.block = block
    task.shard = shard
    task.linear = linear
    return task
  }

  static var ready: WireReady {
    var ready = WireReady()
    ready.workerID = Data(0..<16)
    ready.name = "worker-1"
    ready.host = "node7"
    ready.pid = 4711
    ready.threads = 8
    ready.slots = 2
    ready.memoryBytes = 16 << 30
    ready.artifactEndpoint = "tcp://node7:4000"
    ready.cpu = "SkylakeX"
    ready.softwareVersion = "0.1.0"
    return ready
  }

  static var heartbeat: WireHeartbeat {
    var running = WireRunningTask()
    running.task = fit
    running.lease = 77
    var heartbeat = WireHeartbeat()
    heartbeat.running = [running]
    heartbeat.residentBytes = 1 << 29
    return heartbeat
  }

  static var progress: WireProgress {
    var progress = WireProgress()
    progress.task = fit
    progress.lease = 77
    progress.note = "round 4"
    return progress
  }

  static func done(_ task: WireTaskID, _ result: WireTaskDone.OneOf_Result) -> WireTaskDone {
    var done = WireTaskDone()
    done.task = task
    done.lease = 78
    done.seconds = 1.5
    done.result = result
    done.outputs = [WireArtifactRef(name: "packed", artifact)]
    return done
  }

  static var fitResult: WireFitResult {
    var result = WireFitResult()
    result.relativeError = 0.07
    result.frobeniusError = 0.2
    result.bits.codes = 1.06
    result.bits.codebooks = 0.1
    result.bits.scales = 0.02
    result.bits.channelOrder = 0.01
    result.rounds = 7
    result.seconds = 2.5
    return result
  }

  static var verifyResult: WireVerifyResult {
    var linear = WireVerifiedLinear()
    linear.name = "mlp.down_proj"
    linear.heldOutError = 0.08
    linear.frobeniusError = 0.3
    var result = WireVerifyResult()
    result.linears = [linear]
    result.outputError = 0.02
    return result
  }

  static var failed: WireTaskFailed {
    var failed = WireTaskFailed()
    failed.task = collect
    failed.lease = 79
    failed.kind = .missingArtifact
    failed.message = "hidden(2, 5) is gone"
    failed.missing.digest = digest.data
    failed.missing.holder = "tcp://node8:4000"
    return failed
  }

  static var workerMessages: [WorkerMessage] {
    var collected = WireCollectResult()
    collected.tokens = 4096
    var tuned = WireTuneResult()
    tuned.lossBefore = 0.2
    tuned.lossAfter = 0.1
    tuned.epochs = 3
    tuned.changed = true
    var evaluated = WireEvaluateResult()
    evaluated.negativeLogLikelihood = 6000
    evaluated.tokens = 2047
    var goodbye = WireGoodbye()
    goodbye.reason = "SIGTERM"
    var pass = WireHeldPass()
    pass.task = collect
    pass.outputs = [WireArtifactRef(name: "gram/attn_in", artifact)]
    let inventory = WireInventory.pages(job: "job-1", passes: [pass], predecessor: Data(16..<32))[0]
    return [
      .ready(ready), .heartbeat(heartbeat), .progress(progress),
      .taskDone(done(fit, .fit(fitResult))), .taskDone(done(collect, .collect(collected))),
      .taskDone(done(task(.tune, block: 1), .tune(tuned))),
      .taskDone(done(task(.verify, block: 1), .verify(verifyResult))),
      .taskDone(done(task(.evaluate, shard: 9), .evaluate(evaluated))),
      .taskFailed(failed), .inventory(inventory), .goodbye(goodbye),
    ]
  }

  static var welcome: WireWelcome {
    var welcome = WireWelcome()
    welcome.jobID = "job-1"
    welcome.heartbeatMs = 1000
    welcome.modelDirectory = "/models/small"
    welcome.model = WireArtifactRef(name: "manifest", Artifact(digest: digest, size: 10))
    welcome.tokensPath = "/data/tokens.safetensors"
    welcome.tokens = WireArtifactRef(name: "tokens", Artifact(digest: digest, size: 10))
    welcome.artifactEndpoint = "tcp://127.0.0.1:9"
    welcome.options.groupSize = 8
    welcome.options.codebookBits = [8, 8, 8, 8]
    welcome.options.criticalRatio = 0.02
    welcome.options.importance = .activation
    welcome.options.propagation = .teacher
    welcome.options.seed = 1
    welcome.options.tolerance = 0.01
    var shard = WireShard()
    shard.firstSequence = 4
    shard.count = 4
    shard.heldOut = true
    welcome.shards = [shard]
    return welcome
  }

  static var assign: WireAssign {
    var input = WireInputArtifact()
    input.ref = WireArtifactRef(name: "gram", artifact)
    input.index = 3
    input.holders = ["tcp://node7:4000", "tcp://node8:4000"]
    var assign = WireAssign()
    assign.task = fit
    assign.lease = 80
    assign.leaseMs = 60_000
    assign.inputs = [input]
    return assign
  }

  static var coordinatorMessages: [CoordinatorMessage] {
    var cancel = WireCancel()
    cancel.task = fit
    cancel.lease = 80
    cancel.reason = "done elsewhere"
    var release = WireRelease()
    release.digests = [digest.data]
    var stored = WireResultStored()
    stored.task = fit
    stored.lease = 80
    var refuse = WireRefuse()
    refuse.code = .tooManyWorkers
    refuse.text = "this is job-2"
    var shutdown = WireShutdown()
    shutdown.reason = "job is complete"
    shutdown.isFinished = true
    var lost = WireHolderLost()
    lost.artifactEndpoint = "tcp://node7:4000"
    return [
      .welcome(welcome), .assign(assign), .cancel(cancel), .release(release), .resultStored(stored), .refuse(refuse),
      .shutdown(shutdown), .pulse(WirePulse()), .holderLost(lost),
    ]
  }

  static var artifactMessages: [ArtifactMessage] {
    var request = WireArtifactRequest()
    request.ticket = 1
    request.digest = digest.data
    request.offset = 1 << 40
    request.length = 1 << 20
    var chunk = WireArtifactChunk()
    chunk.ticket = 2
    chunk.digest = digest.data
    chunk.offset = 4096
    chunk.totalSize = 1 << 20
    chunk.crc32C = 0x1234_5678
    var refusal = WireArtifactRefusal()
    refusal.ticket = 3
    refusal.digest = digest.data
    refusal.code = .notFound
    refusal.text = "no such artifact"
    return [.request(request), .chunk(chunk), .refusal(refusal)]
  }
}
