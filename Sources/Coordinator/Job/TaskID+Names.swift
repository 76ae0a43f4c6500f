import JobGraph
import Transformer

// What a task is called where it is stored or shown.
extension TaskID {
  /// What the task goes by in tables, and in a status as "fit 3/6": its block, and the shard of a collect, recollect or
  /// evaluation or the linear of a fit; of a distillation step and micro-batch.
  var row: (block: Int, part: Int) {
    switch self {
    case .collect(let block, let shard), .recollect(let block, let shard): (block, shard)
    case .fit(let block, let linear): (block, linear)
    case .tune(let block), .verify(let block): (block, 0)
    case .distill(let step, let batch): (step, batch)
    case .update(let step): (step, 0)
    case .evaluate(let shard): (0, shard)
    }
  }

  /// The task that a status calls by its ``row``, as "fit 3/6"; nil for another text.
  init?(status text: String) {
    let words = text.split(separator: " ")
    let numbers = words.last?.split(separator: "/").compactMap { Int($0) } ?? []
    guard words.count == 2, numbers.count == 2, let kind = Kind(rawValue: String(words[0])) else { return nil }
    let (block, part) = (numbers[0], numbers[1])
    switch kind {
    case .collect: self = .collect(block: block, shard: part)
    case .recollect: self = .recollect(block: block, shard: part)
    case .fit: self = .fit(block: block, linear: part)
    case .tune: self = .tune(block: block)
    case .distill: self = .distill(step: block, batch: part)
    case .update: self = .update(step: block)
    case .verify: self = .verify(block: block)
    case .evaluate: self = .evaluate(shard: part)
    }
  }

  /// For people: "fit of block 3 mlp.down_proj".
  var account: String {
    switch self {
    case .collect(let block, let shard): "collect of block \(block) for shard \(shard)"
    case .recollect(let block, let shard): "recollect of block \(block) for shard \(shard)"
    case .fit(let block, let linear): "fit of block \(block) \(Self.name(ofLinear: linear))"
    case .tune(let block): "tune of block \(block)"
    case .distill(let step, let batch): "micro-batch \(batch) of step \(step) of the distillation"
    case .update(let step): "update of step \(step) of the distillation"
    case .verify(let block): "verification of block \(block)"
    case .evaluate(let shard): "evaluation of window \(shard)"
    }
  }

  private static func name(ofLinear index: Int) -> String {
    let roles = LinearRole.allCases
    return roles.indices.contains(index) ? roles[index].rawValue : "linear \(index)"
  }
}
