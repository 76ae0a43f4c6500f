import CRVQ
import Numerics
import Testing
import Transformer
import Worker

@Suite struct DistillationPassTests {
  private let team = ThreadTeam(threads: 2)
  private let small: SmallModel
  private let tokens: [[Int32]]
  private let expected: HiddenStates

  /// Two packed blocks, and what the original has behind its last one.
  init() throws {
    var random = RandomStream(seed: 11, key: "distillation pass")
    small = try SmallModel(&random, blocks: 2)
    tokens = (0..<3).map { _ in (0..<9).map { _ in Int32(random.index(below: 16)) } }
    var hidden = try small.model.embed(tokens: tokens, from: small.source)
    for block in 0..<2 { try small.model.loadBlock(block, from: small.source).forward(&hidden, team: team) }
    expected = hidden
  }

  private func pass(threads: Int = 2, values: [String: [Float]]? = nil) -> DistillationPass {
    DistillationPass(
      small.model, source: small.source, TuneOptions(epochs: 1), team: ThreadTeam(threads: threads),
      control: TaskControl { _ in }, packed: { small.packed[$0] },
      values: values.map { values in { values[$0] ?? [] } })
  }

  /// Every parameter as it is packed, widened.
  private func values() -> [String: [Float]] {
    var values: [String: [Float]] = [:]
    for (index, packed) in small.packed.enumerated() {
      for spec in small.model.linears {
        guard let linear = packed.linears[spec.role] else { continue }
        values["\(spec.path(block: index)).codebooks"] = Half.widen(linear.codebooks)
        values["\(spec.path(block: index)).scales"] = Half.widen(linear.scales)
        if let name = spec.biasName(block: index) { values[name] = packed.block[spec.role].bias }
      }
      let norms = small.model.otherTensors(ofBlock: index).map(\.name)
      values[norms[0]] = packed.block.inputNorm
      values[norms[1]] = packed.block.mlpNorm
    }
    return values
  }

  /// Along the gradient of each tensor of each block, the loss changes as the gradient says.
  @Test func gradientsAreThoseOfFiniteDifferences() throws {
    let (start, gradients) = (values(), try pass().gradients(tokens, expected: expected))
    #expect(Set(gradients.tensors.map(\.name)) == Set(start.keys))
    #expect(start.count == 2 * (7 * 2 + 2 + 3))
    for tensor in gradients.tensors {
      guard case .float32(let slope) = tensor.values, let before = start[tensor.name] else {
        Issue.record("\(tensor.name) is not in binary32")
        continue
      }
      let length = slope.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(length > 0, "\(tensor.name)")
      let largest = before.reduce(Float(0.01)) { max($0, abs($1)) }
      let step = 1e-3 * Double(largest) * Double(before.count).squareRoot()
      func loss(_ distance: Double) throws -> Double {
        var moved = start
        let share = Float(distance / length)
        moved[tensor.name] = zip(before, slope).map { $0 + share * $1 }
        return try pass(values: moved).gradients(tokens, expected: expected).loss / Double(expected.length)
      }
      let (above, below) = (try loss(step), try loss(-step))
      let measured = (above - below) / (2 * step)
      #expect(abs(measured - length) < 0.03 * length, "\(tensor.name): \(measured) beside \(length)")
    }
  }

  @Test func theNumberOfThreadsChangesNoBit() throws {
    let (one, three) = (
      try pass(threads: 1).gradients(tokens, expected: expected),
      try pass(threads: 3).gradients(tokens, expected: expected)
    )
    #expect(one.loss == three.loss)
    #expect(one.tensors.map(\.name) == three.tensors.map(\.name))
    for (one, three) in zip(one.tensors, three.tensors) {
      guard case .float32(let left) = one.values, case .float32(let right) = three.values else {
        Issue.record("\(one.name) is not in binary32")
        continue
      }
      #expect(left == right, "\(one.name)")
    }
  }

  @Test func aValidationSeesWhatWouldBeStored() throws {
    let before = try pass().validate(tokens, expected: expected)
    // The packed parameters are in binary16 but for norms and biases, which a model may have in more.
    #expect(abs(try pass(values: values()).validate(tokens, expected: expected) - before) < 1e-3 * before)
    var moved = values()
    for (name, vector) in moved where name.hasSuffix("scales") { moved[name] = vector.map { 1.3 * $0 } }
    #expect(try pass(values: moved).validate(tokens, expected: expected) > before)
    moved["model.layers.1.mlp.down_proj.scales"]?[0] = 1e6
    #expect(try pass(values: moved).validate(tokens, expected: expected).isNaN, "not a number in binary16")
  }

  @Test func aBlockThatCannotBeHadIsAnErrorAndNoLoss() throws {
    let pass = DistillationPass(
      small.model, source: small.source, TuneOptions(epochs: 1), team: team, control: TaskControl { _ in },
      packed: { _ in throw TaskError.other("gone") }, values: { values()[$0] ?? [] })
    #expect(throws: TaskError.self) { try pass.validate(tokens, expected: expected) }
  }
}
