import ArgumentParser
import CRVQ

/// The options of a fit.
struct SolverOptions: ParsableArguments {
  @Option(help: "Channels a codeword covers: 4, 8 or 16.")
  var groupSize = 8

  @Option(help: ArgumentHelp("Bits of each codebook's codes, the first for all groups.", valueName: "list"))
  var codebookBits = "8,8,8,8"

  @Option(help: "Share of channels that get the further codebooks.")
  var criticalRatio = 0.02

  @Option(help: ArgumentHelp("How critical channels are chosen.", valueName: "activation|weight|random"))
  var importance = FitOptions.Importance.activation

  @Option(help: "A fit ends when a round gains less than this share of the error.")
  var tolerance = FitOptions().tolerance

  @Option(help: "Rounds of a fit at most.")
  var rounds = FitOptions().maximumRounds

  @Option(help: "Hypotheses a row in the search for the codes of critical channels.")
  var beam = FitOptions().beamWidth

  @Option(help: "Seed of every random choice.")
  var seed: UInt64 = 0

  /// - Throws: `ValidationError` for a value outside its range, by the name of its option.
  func fitOptions() throws -> FitOptions {
    let bits = try codebookBits.split(separator: ",", omittingEmptySubsequences: false).map { item in
      guard let bits = Int(item.trimmingPrefix(" ")) else {
        throw ValidationError("--codebook-bits is '\(codebookBits)', expected numbers separated by commas: 8,8,8,8")
      }
      return bits
    }
    func require(_ isInRange: Bool, _ given: String, _ expected: String) throws {
      if !isInRange { throw ValidationError("\(given), expected \(expected)") }
    }
    let (bitsMax, codebooksMax) = (PackedFormat.maximumCodebookBits, PackedFormat.maximumCodebooks)
    try require(PackedFormat.groupSizes.contains(groupSize), "--group-size is \(groupSize)", "4, 8 or 16")
    try require(
      bits.count <= codebooksMax && bits.allSatisfy { (1...bitsMax).contains($0) },
      "--codebook-bits is '\(codebookBits)'", "at most \(codebooksMax) numbers from 1 to \(bitsMax)")
    try require((0...1).contains(criticalRatio), "--critical-ratio is \(criticalRatio)", "0 to 1")
    try require((0..<1).contains(tolerance), "--tolerance is \(tolerance)", "0 to less than 1")
    try require((1...FitOptions.roundLimit).contains(rounds), "--rounds is \(rounds)", "1 to \(FitOptions.roundLimit)")
    try require((1...FitOptions.beamLimit).contains(beam), "--beam is \(beam)", "1 to \(FitOptions.beamLimit)")
    let options = FitOptions(
      groupSize: groupSize, codebookBits: bits, criticalRatio: criticalRatio, importance: importance,
      tolerance: tolerance,
      maximumRounds: rounds, beamWidth: beam, seed: seed)
    try options.validate()
    return options
  }
}

extension FitOptions.Importance: ExpressibleByArgument {}
