import JobGraph
import Messaging
import Numerics
import Transformer

/// What a task has at hand while it runs.
struct TaskEnvironment {
  let job: JobContext
  let store: ArtifactStore
  let inputs: TaskInputs
  let blocks: BlockSource
  let grams: GramSource
  let sweep: SweepStream
  let expected: ExpectedStates
  let passes: PassRecords
  let team: ThreadTeam
  let control: TaskControl

  var hiddenStates: HiddenStateSource {
    HiddenStateSource(job: job, inputs: inputs, blocks: blocks, team: team, control: control)
  }
}

// What passes over shards leave among the artifacts.
extension TaskEnvironment {
  /// What `body` puts among the artifacts, one after another. If it fails nothing stays: nobody would know of it, and on a disk
  /// that is full there would never be space again. Of a task that is cancelled it stays: another attempt may be at the same.
  func outputs(_ body: (inout [WireArtifactRef]) throws -> Void) throws -> [WireArtifactRef] {
    var outputs: [WireArtifactRef] = []
    do { try body(&outputs) } catch TaskError.cancelled {
      throw TaskError.cancelled
    } catch {
      let made = Set(outputs.compactMap { $0.artifact?.digest })
      passes.remove(made.filter { !passes.names($0) && !inputs.copies.has($0) })
      throw error
    }
    return outputs
  }

  /// A shard's hidden states in front of a block.
  func store(_ hidden: HiddenStates, _ stream: HiddenStream, block: Int) throws -> WireArtifactRef {
    WireArtifactRef(name: ArtifactRef.hiddenName(stream, block), try hidden.put(into: store))
  }

  /// A shard's Gram of a site.
  func store(_ gram: PartialGram, of site: Site) throws -> WireArtifactRef {
    let artifact = try FloatArtifact.put(.gram, sizes: (gram.width, gram.tokenCount, 0), gram.upper, into: store)
    return WireArtifactRef(name: ArtifactRef.gramName(site.rawValue), artifact)
  }

  /// What a block's output lacks over a shard, for the repairing linear of a site.
  func store(_ loss: OutputLoss, of site: Site) throws -> WireArtifactRef {
    let sizes = (loss.rows, loss.columns, loss.tokenCount)
    return WireArtifactRef(
      name: ArtifactRef.lossName(site.rawValue), try FloatArtifact.put(.loss, sizes: sizes, loss.values, into: store))
  }
}

extension TaskEnvironment {
  /// Runs a task of the wire.
  ///
  /// - Throws: ``TaskError``, or an error of the modules below, each one line.
  func run(_ task: WireTaskID) throws -> TaskOutcome {
    let block = Int(task.block)
    guard block < job.model.blockCount else {
      throw TaskError.badInput("task for block \(block) of a model of \(job.model.blockCount)")
    }
    guard (job.windows != nil) == (task.kind == .evaluate) else {
      throw TaskError.badInput("task of kind \(task.kind), which is none of this job")
    }
    switch task.kind {
    case .collect:
      guard Int(task.shard) < job.plan.shards.count else {
        throw TaskError.badInput("task for shard \(task.shard) of a job of \(job.plan.shards.count)")
      }
      return try CollectTask(block: block, shard: Int(task.shard)).run(self)
    case .recollect:
      guard Int(task.shard) < job.plan.shards.count, job.plan.recollects(Int(task.shard)) else {
        throw TaskError.badInput("task to recollect shard \(task.shard), which this job does not have")
      }
      return try RecollectTask(block: block, shard: Int(task.shard)).run(self)
    case .fit:
      guard let linear = job.linear(named: task.linear) else {
        throw TaskError.badInput("task for a linear \(task.linear), which this model does not have")
      }
      return try FitTask(block: block, linear: linear).run(self)
    case .tune:
      return try TuneTask(block: block).run(self)
    case .distill:
      let (distillation, step) = try distillation(task)
      guard Int(task.batch) < distillation.batchCount(ofStep: step) else {
        throw TaskError.badInput("task for micro-batch \(task.batch) of step \(step), which has fewer")
      }
      return try DistillTask(step: step, batch: Int(task.batch), distillation: distillation).run(self)
    case .update:
      let (distillation, step) = try distillation(task)
      return try UpdateTask(step: step, distillation: distillation).run(self)
    case .verify:
      return try VerifyTask(block: block).run(self)
    case .evaluate:
      guard let windows = job.windows, Int(task.shard) < windows.count else {
        throw TaskError.badInput("task to evaluate window \(task.shard), which this job does not have")
      }
      return try EvaluateTask(window: Int(task.shard), windows: windows).run(self)
    default:
      throw TaskError.other("this worker does not know tasks of kind \(task.kind)")
    }
  }

  private func distillation(_ task: WireTaskID) throws -> (Distillation, step: Int) {
    guard let distillation = job.plan.distillation, Int(task.step) < distillation.stepCount else {
      throw TaskError.badInput("task for step \(task.step) of a distillation, which this job does not have")
    }
    return (distillation, Int(task.step))
  }
}
