import Checkpoint
import Foundation
import Numerics
import Transformer

/// Times passes of one block, each when it is asked for, so that `scripts/benchmark-block` can have another program take turns.
///
///     BlockBenchmark MODEL BLOCK SEQUENCES LENGTH THREADS
///
/// Reads words from standard input, a line each: `forward`, or `backward` for a recorded forward pass, a backward pass and the
/// gradient of every weight. Answers each with the seconds it took.
@main struct BlockBenchmark {
  let block: DecoderBlock
  let input: HiddenStates
  let team: ThreadTeam

  static func main() {
    do {
      let benchmark = try BlockBenchmark(Array(CommandLine.arguments.dropFirst()))
      while let word = readLine() {
        print(try benchmark.seconds(of: word))
        fflush(nil)
      }
    } catch {
      FileHandle.standardError.write(Data("BlockBenchmark: \(error)\n".utf8))
      exit(70)
    }
  }

  init(_ arguments: [String]) throws {
    let numbers = arguments.dropFirst().compactMap(Int.init)
    guard numbers.count == 4, arguments.count == 5 else {
      throw BenchmarkError(description: "expected MODEL BLOCK SEQUENCES LENGTH THREADS, got \(arguments)")
    }
    let config = try ModelConfig(directory: arguments[0], known: Architectures.names)
    let model = try LanguageModel(config: config)
    block = try model.loadBlock(numbers[0], from: Checkpoint(directory: arguments[0]))
    let width = model.shape.hiddenSize
    var stream = RandomStream(seed: 1, key: "hidden states")
    input = try HiddenStates(
      sequences: numbers[1], length: numbers[2], width: width,
      values: (0..<numbers[1] * numbers[2] * width).map { _ in stream.normal() })
    team = ThreadTeam(threads: numbers[3])
  }

  private func seconds(of word: String) throws -> Double {
    let sink = Gradients()
    let started = ContinuousClock.now
    switch word {
    case "forward":
      var states = input
      try block.forward(&states, team: team)
    case "backward":
      // A micro-batch of one sequence, as a tune has it.
      for sequence in 0..<input.sequences {
        let tape = try block.record(input.slice(sequence..<sequence + 1), team: team)
        try block.backward(tape, outputGradient: tape.output, team: team, into: sink)
      }
    default: throw BenchmarkError(description: "expected forward or backward, got \(word)")
    }
    return (ContinuousClock.now - started) / .seconds(1)
  }
}

struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
}

/// Keeps the sums of all gradients, as an optimiser would want them.
private final class Gradients: BlockGradientSink {
  let linears = Set(LinearRole.allCases)
  private var weights: [LinearRole: [Float]] = [:]

  func add(weightGradient gradient: UnsafePointer<Float>, of linear: LinearSpec, team: ThreadTeam) {
    let count = linear.weightCount
    if weights[linear.role] == nil {
      weights[linear.role] = Array(UnsafeBufferPointer(start: gradient, count: count))
    } else {
      BLAS.saxpy(count, 1, gradient, &weights[linear.role, default: []])
    }
  }

  func add(biasGradient gradient: [Float], of linear: LinearSpec) {}

  func add(inputNormGradient: [Float], mlpNormGradient: [Float]) {}
}
