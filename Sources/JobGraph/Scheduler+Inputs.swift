// What a task needs, and where it lies.
extension Scheduler {
  /// Whether all that the task cannot do without is there: fits, in the store; or what passes over shards made, on workers.
  func hasInputs(_ task: TaskID) -> Bool {
    switch task {
    case .collect, .tune, .distill, .evaluate: return true
    case .recollect(let block, _):
      return plan.firstFits(ofBlock: block).allSatisfy { fitted[$0] != nil } && (block == 0 || packed(block - 1) != nil)
    case .fit(let block, let linear):
      let gram = ArtifactRef.gramName(plan.linears[linear].site)
      return plan.fitShards.allSatisfy {
        let source = record(plan.gramSource(block: block, linear: linear, shard: $0))
        return source.isDone && source.output(named: gram) != nil
      }
    case .update(let step): return batches(ofStep: step).allSatisfy { record($0).isDone }
    case .verify(let block):
      return isDistilled && plan.heldOutShards.allSatisfy { record(.collect(block: block, shard: $0)).isDone }
    }
  }

  func inputs(of task: TaskID) -> [TaskInput] {
    switch task {
    case .collect(let block, let shard):
      return hiddenInputs(plan.propagation.stream, block: block, shard: shard) + studentInputs(below: block)
    case .recollect(let block, let shard):
      return hiddenInputs(.original, block: block + 1, shard: shard) + hiddenInputs(.packed, block: block, shard: shard)
        + packedInputs(below: block) + fittedInputs(block: block)
    case .fit(let block, let linear):
      let site = plan.linears[linear].site
      return plan.fitShards.flatMap {
        held(plan.gramSource(block: block, linear: linear, shard: $0), index: $0) {
          $0 == ArtifactRef.gramName(site) || $0 == ArtifactRef.lossName(site)
        }
      }
    case .tune(let block):
      return packedInputs(below: block) + Self.input(block, merged[block])
    case .distill(let step, _): return packedInputs(below: plan.blockCount) + parametersInput(before: step)
    case .update(let step):
      // From the packed blocks it takes what the first step begins with.
      return (step == 0 ? packedInputs(below: plan.blockCount) : parametersInput(before: step))
        + batches(ofStep: step).enumerated().flatMap { batch, task in held(task, index: batch) { _ in true } }
    case .verify(let block):
      let grams = plan.heldOutShards.flatMap {
        held(.collect(block: block, shard: $0), index: $0, where: ArtifactRef.isGram)
      }
      let hidden = plan.heldOutShards.flatMap { hiddenInputs(plan.propagation.stream, block: block, shard: $0) }
      let before = plan.propagation == .teacher ? [] : packedInputs(below: block)
      return grams + hidden + before + packedInput(block) + distilledInput
    case .evaluate: return []
    }
  }

  /// A shard's states in front of this block or of the one before, where a worker holds them. Without them the worker starts
  /// from the tokens.
  private func hiddenInputs(_ stream: HiddenStream, block: Int, shard: Int) -> [TaskInput] {
    [block, block - 1].flatMap { input -> [TaskInput] in
      guard let producer = plan.producer(of: stream, block: input, shard: shard) else { return [] }
      return held(producer, index: shard) { $0 == ArtifactRef.hiddenName(stream, input) }
    }
  }

  /// In student mode all hidden states run through the packed blocks before this one.
  private func studentInputs(below block: Int) -> [TaskInput] {
    plan.propagation == .teacher ? [] : packedInputs(below: block) + distilledInput
  }

  private func packedInputs(below block: Int) -> [TaskInput] { (0..<block).flatMap(packedInput) }

  /// The linears of a block that are fitted first, by their index.
  private func fittedInputs(block: Int) -> [TaskInput] {
    plan.linears.indices.compactMap { linear in
      guard !plan.repairs(linear), let artifact = fitted[.fit(block: block, linear: linear)] else { return nil }
      let input = ArtifactRef(name: ArtifactRef.fittedName, digest: artifact.digest, size: artifact.size)
      return TaskInput(index: linear, artifact: input, holder: .coordinator)
    }
  }

  private func packedInput(_ block: Int) -> [TaskInput] { Self.input(block, packed(block)) }

  private static func input(_ block: Int, _ artifact: ArtifactRef?) -> [TaskInput] {
    artifact.map { [TaskInput(index: block, artifact: $0, holder: .coordinator)] } ?? []
  }

  private func held(_ task: TaskID, index: Int, where matches: (String) -> Bool) -> [TaskInput] {
    let record = record(task)
    guard record.isDone, let holder = record.worker else { return [] }
    return record.outputs.filter { matches($0.name) }.map {
      TaskInput(index: index, artifact: $0, holder: .worker(holder))
    }
  }

  /// The workers among the holders, by digest.
  static func sources(of inputs: [TaskInput]) -> [String: Set<WorkerID>] {
    inputs.reduce(into: [:]) { sources, input in
      if case .worker(let holder) = input.holder {
        sources[input.artifact.digest, default: []].insert(holder)
      }
    }
  }
}
