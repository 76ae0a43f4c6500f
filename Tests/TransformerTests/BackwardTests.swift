import Checkpoint
import Foundation
import Numerics
import TestSupport
import Testing
import Transformer

/// Keeps all gradients by the names of the parameters inside a block.
private final class Gradients: BlockGradientSink {
  let linears: Set<LinearRole>
  var values: [String: [Float]] = [:]

  init(_ linears: Set<LinearRole> = Set(LinearRole.allCases)) { self.linears = linears }

  func add(weightGradient gradient: UnsafePointer<Float>, of linear: LinearSpec, team: ThreadTeam) {
    values[linear.name + ".weight"] = Array(UnsafeBufferPointer(start: gradient, count: linear.weightCount))
  }

  func add(biasGradient gradient: [Float], of linear: LinearSpec) { values[linear.name + ".bias"] = gradient }

  func add(inputNormGradient: [Float], mlpNormGradient: [Float]) {
    values["input_layernorm.weight"] = inputNormGradient
    values["post_attention_layernorm.weight"] = mlpNormGradient
  }
}

/// The last block of a golden model and autograd's view of it.
private struct GoldenBlock {
  var block: DecoderBlock
  let input: HiddenStates
  let output: [Float]
  let upstream: HiddenStates
  /// By parameter, and "input".
  let gradients: [String: [Float]]

  init(_ name: String) throws {
    let golden = try GoldenModel(name)
    block = try golden.model.loadBlock(golden.model.blockCount - 1, from: golden.checkpoint)
    let file = try SafetensorsFile(path: GoldenModel.directory(name) + "/backward.safetensors")
    let shape = file.shape(of: "input") ?? []
    func states(_ name: String) throws -> HiddenStates {
      try HiddenStates(sequences: shape[0], length: shape[1], width: shape[2], values: file.floats(name))
    }
    input = try states("input")
    upstream = try states("upstream")
    output = try file.floats("output")
    var gradients: [String: [Float]] = [:]
    for name in file.tensorNames where name.hasPrefix("grad.") {
      gradients[String(name.dropFirst(5))] = try file.floats(name)
    }
    self.gradients = gradients
  }

  /// Σ upstream · output: the loss whose gradient of the output is `upstream`.
  func loss(_ block: DecoderBlock, _ input: HiddenStates, _ team: ThreadTeam) throws -> Double {
    let output = try block.output(of: input, team: team)
    return zip(output.values, upstream.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }
}

@Suite struct BackwardTests {
  private let team = ThreadTeam(threads: 2)

  @Test(arguments: GoldenModel.names) func gradientsAreThoseOfAutograd(name: String) throws {
    let golden = try GoldenBlock(name)
    let sink = Gradients()
    let tape = try golden.block.record(golden.input, team: team)
    #expect(worstDifference(tape.output.values, golden.output) < 1e-4)
    sink.values["input"] = try golden.block.backward(
      tape, outputGradient: golden.upstream, team: team, into: sink
    ).values
    #expect(sink.values.keys.sorted() == golden.gradients.keys.sorted())
    for (parameter, expected) in golden.gradients {
      let got = try #require(sink.values[parameter])
      let size = expected.reduce(0) { max($0, abs($1)) }
      let worst = worstDifference(got, expected)
      #expect(worst < 2e-5 * Double(size), "\(parameter): \(worst) of \(size)")
    }
  }

  @Test(arguments: GoldenModel.names) func recordingGivesTheBytesOfTheForwardPass(name: String) throws {
    let golden = try GoldenBlock(name)
    let tape = try golden.block.record(golden.input, team: team)
    #expect(try tape.output == golden.block.output(of: golden.input, team: team))
  }

  /// Along a random direction of each parameter, the loss changes as the gradient says.
  @Test(arguments: ["gqa-tied", "mqa-biases"]) func gradientsAreThoseOfFiniteDifferences(name: String) throws {
    let golden = try GoldenBlock(name)
    let sink = Gradients()
    let gradient = try golden.block.backward(
      golden.block.record(golden.input, team: team), outputGradient: golden.upstream, team: team, into: sink)
    sink.values["input"] = gradient.values
    for (parameter, gradient) in sink.values.sorted(by: { $0.key < $1.key }) {
      var random = RandomStream(seed: 51, key: parameter)
      let direction = gradient.map { _ in random.normal() }
      let step: Float = 2e-3
      let losses = try [step, -step].map { step in
        var (block, input) = (golden.block, golden.input)
        let shift = direction.map { $0 * step }
        Self.add(shift, to: parameter, &block, &input)
        return try golden.loss(block, input, team)
      }
      let measured = (losses[0] - losses[1]) / Double(2 * step)
      let expected = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      let size = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(abs(measured - expected) < 0.02 * size, "\(parameter): \(measured), expected \(expected)")
    }
  }

  private static func add(
    _ shift: [Float], to parameter: String, _ block: inout DecoderBlock, _ input: inout HiddenStates
  ) {
    func shifted(_ values: [Float]) -> [Float] { zip(values, shift).map { $0 + $1 } }
    switch parameter {
    case "input": input.values = shifted(input.values)
    case "input_layernorm.weight": block.inputNorm = shifted(block.inputNorm)
    case "post_attention_layernorm.weight": block.mlpNorm = shifted(block.mlpNorm)
    default:
      for role in LinearRole.allCases {
        var linear = block[role]
        if parameter == role.rawValue + ".weight" { linear.weight.values = shifted(linear.weight.values) }
        if parameter == role.rawValue + ".bias" { linear.bias = linear.bias.map(shifted) }
        block[role] = linear
      }
    }
  }

  @Test(arguments: ["long", "mqa-biases"]) func bytesDoNotDependOnThreads(name: String) throws {
    let golden = try GoldenBlock(name)
    var results: [[String: [Float]]] = []
    for threads in [1, 2, 3] {
      let team = ThreadTeam(threads: threads)
      let sink = Gradients()
      sink.values["input"] = try golden.block.backward(
        golden.block.record(golden.input, team: team), outputGradient: golden.upstream, team: team, into: sink
      ).values
      results.append(sink.values)
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  /// More than one tile either way, the last of which are not whole. Of the last linear a test knows both factors: the
  /// output's gradient, and what the linear saw.
  @Test func weightGradientsOfSeveralTilesAreSumsOfProducts() throws {
    let random = try RandomModel(hiddenSize: 264, intermediateSize: 300, sequences: 2, length: 5, seed: 62)
    let (block, input) = (random.block, random.hidden)
    let recorder = SiteRecorder([.mlpHidden])
    _ = try block.output(of: input, team: team, observer: recorder)
    let seen = try #require(recorder.values[.mlpHidden])
    let sink = Gradients([.down])
    // Numbers of either sign and many sizes will do for a gradient.
    try block.backward(block.record(input, team: team), outputGradient: input, team: team, into: sink)
    let gradient = try #require(sink.values["mlp.down_proj.weight"])
    var expected = [Double](repeating: 0, count: 264 * 300)
    for row in 0..<input.rows {
      for out in 0..<264 {
        let upstream = Double(input.values[row * 264 + out])
        for into in 0..<300 { expected[out * 300 + into] += upstream * Double(seen[row * 300 + into]) }
      }
    }
    let size = expected.reduce(0) { max($0, abs($1)) }
    #expect(size > 0 && worstDifference(gradient, expected) < 1e-5 * size)
  }

  @Test func onlyTheLinearsAskedForAreComputed() throws {
    let golden = try GoldenBlock("gqa-tied")
    let sink = Gradients([.key, .down])
    try golden.block.backward(
      golden.block.record(golden.input, team: team), outputGradient: golden.upstream, team: team, into: sink)
    #expect(
      sink.values.keys.sorted() == [
        "input_layernorm.weight", "mlp.down_proj.weight", "post_attention_layernorm.weight", "self_attn.k_proj.weight",
      ])
  }

  @Test func aTapeIsUsedOnceAndForItsOwnSizes() throws {
    let golden = try GoldenBlock("gqa-tied")
    let tape = try golden.block.record(golden.input, team: team)
    #expect(throws: TransformerError.self) {
      try golden.block.backward(tape, outputGradient: golden.upstream.slice(0..<1), team: team, into: Gradients())
    }
    try golden.block.backward(tape, outputGradient: golden.upstream, team: team, into: Gradients())
    #expect(throws: TransformerError.self) {
      try golden.block.backward(tape, outputGradient: golden.upstream, team: team, into: Gradients())
    }
  }
}
