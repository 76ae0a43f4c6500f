import CRVQ
import Checkpoint
import Numerics
import TestSupport
import Testing

@Suite struct PackedLinearTests {
  static let formats = [
    PackedFormat(),
    PackedFormat(groupSize: 4, codebookBits: [1], criticalRatio: 0.5),
    PackedFormat(groupSize: 16, codebookBits: [12, 3], criticalRatio: 1),
    PackedFormat(groupSize: 8, codebookBits: [5, 5, 5], criticalRatio: 0.29),
    PackedFormat(groupSize: 4, codebookBits: [8, 1, 12, 7], criticalRatio: 0.3),
    PackedFormat(groupSize: 8, codebookBits: [8, 8], criticalRatio: 0),
  ]

  /// A linear of random codes; not fitted to anything.
  static func random(_ format: PackedFormat, rows: Int, columns: Int) throws -> PackedLinear {
    var input = RandomInput(seed: TestRun.seed)
    let bits = format.storedBits(columns: columns)
    let codewords = bits.reduce(0) { $0 + 1 << $1 }
    var order = (0..<columns).map { UInt32($0) }
    order.shuffle(using: &input.stream)
    return try PackedLinear(
      name: "random", format: format, rows: rows, columns: columns,
      codes: input.codes(rows * format.groups(columns: columns), below: 1 << bits[0]),
      criticalCodes: bits.dropFirst().map {
        input.codes(rows * format.criticalGroups(columns: columns), below: 1 << $0)
      },
      codebooks: Half.narrow(input.normals(codewords * format.groupSize)),
      scales: Half.narrow(input.normals(rows).map { 1e-3 * $0 }), channelOrder: order)
  }

  @Test(arguments: formats) func tensorsReadBackTheSame(format: PackedFormat) throws {
    for (rows, columns) in [(1, 3), (3, 64), (5, 83)] {
      let linear = try Self.random(format, rows: rows, columns: columns)
      let tensors = linear.encoded(prefix: "p")
      for tensor in tensors {
        #expect(tensor.bytes.count == tensor.shape.reduce(1, *) * tensor.type.byteCount, "\(tensor.name)")
      }
      let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
      #expect(try PackedLinear(prefix: "p", format: format) { byName[$0] } == linear, "\(TestRun.seedSetting)")
      #expect((byName["p.critical_codes"] != nil) == (linear.criticalGroups > 0))
    }
  }

  @Test(arguments: formats) func decodingFollowsTheDefinition(format: PackedFormat) throws {
    for (rows, columns) in [(1, 3), (70, 200), (2, 1030)] {
      let linear = try Self.random(format, rows: rows, columns: columns)
      let decoded = linear.decodeHalf(team: ThreadTeam(threads: 2))
      let (d, bits) = (format.groupSize, linear.storedBits)
      func value(_ bits: UInt16) -> Float { Float(Float16(bitPattern: bits)) }
      for row in 0..<rows {
        for position in 0..<columns {
          let (g, t) = (position / d, position % d)
          var sum = value(linear.codebooks[Int(linear.codes[row * linear.groups + g]) * d + t])
          if g < linear.criticalGroups {
            for j in 1..<bits.count {
              let offset = bits[..<j].reduce(0) { $0 + 1 << $1 }
              let code = Int(linear.criticalCodes[j - 1][row * linear.criticalGroups + g])
              sum += value(linear.codebooks[(offset + code) * d + t])
            }
          }
          let expected = Float16(sum * value(linear.scales[row])).bitPattern
          let found = decoded[row * columns + Int(linear.channelOrder[position])]
          try #require(found == expected, "\(TestRun.seedSetting)")
        }
      }
    }
  }

  /// More bytes of critical codes than a linear may have rows or channels, in one dimension.
  @Test func flatCriticalCodesMayBeLong() throws {
    let format = PackedFormat(groupSize: 4, codebookBits: [1, 8, 7, 8], criticalRatio: 1)
    let (rows, columns) = (1 << 15, 1024)
    let (groups, critical) = (format.groups(columns: columns), format.criticalGroups(columns: columns))
    let flat = rows * critical * 23 / 8
    #expect(flat > PackedFormat.maximumDimension)
    func tensor(_ name: String, _ type: ElementType, _ shape: [Int]) -> PackedTensor {
      PackedTensor(
        name: name, type: type, shape: shape, bytes: Array(repeating: 0, count: shape.reduce(type.byteCount, *)))
    }
    let order = PackedTensor(
      name: "p.channel_order", type: .uint16, shape: [columns],
      bytes: (0..<columns).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
    let tensors = [
      tensor("p.codes", .uint8, [rows, groups / 8]), tensor("p.critical_codes", .uint8, [flat]),
      tensor("p.codebooks", .float16, [2 + 256 + 128 + 256, 4]), tensor("p.scales", .float16, [rows]), order,
    ]
    let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    let linear = try PackedLinear(prefix: "p", format: format) { byName[$0] }
    #expect(linear.rows == rows && linear.criticalCodes.count == 3)
  }

  @Test func aLinearTooLargeIsRefusedByItsSize() {
    let long = PackedFormat.maximumDimension + 1
    let format = PackedFormat(groupSize: 4, codebookBits: [1], criticalRatio: 0)
    let error = #expect(throws: CRVQError.self) {
      try PackedLinear(prefix: "p", format: format) { name in
        name == "p.scales"
          ? PackedTensor(name: name, type: .float16, shape: [long], bytes: Array(repeating: 0, count: 2 * long))
          : PackedTensor(name: name, type: .uint16, shape: [1], bytes: [0, 0])
      }
    }
    #expect(error?.message == "p: the shape is [\(long), 1]; expected 1 to \(long - 1) rows and channels")
  }

  @Test func onlyPartsOfPackedLinearsAreHidden() throws {
    let directory = try TemporaryDirectory(inMemory: true)
    let linear = try Self.random(PackedFormat(), rows: 3, columns: 64)
    try linear.write(prefix: "p", to: directory.file("packed"))
    let tensors = PackedTensors(
      packed: try SafetensorsFile(path: directory.file("packed")),
      others: MemorySource(["p.weight": ([3, 64], []), "p.bias": ([3], [1, 2, 3]), "norm.scales": ([2], [4, 5])]),
      format: PackedFormat(), team: ThreadTeam(threads: 1))
    #expect(tensors.tensorNames == ["norm.scales", "p.bias", "p.weight"])
    #expect(tensors.packedPrefixes == ["p"])
    #expect(try tensors.floats("p.weight", rows: 1..<3) == Array(tensors.floats("p.weight")[64...]))
    #expect(throws: CheckpointError.self) { try tensors.floats("p.weight", rows: 2..<4) }
  }

  @Test func codesAreBitsLeastSignificantFirst() throws {
    let format = PackedFormat(groupSize: 4, codebookBits: [3], criticalRatio: 0)
    let linear = try PackedLinear(
      name: "x", format: format, rows: 2, columns: 12, codes: [1, 2, 7, 5, 0, 4], criticalCodes: [],
      codebooks: [UInt16](repeating: 0, count: 32), scales: [0, 0], channelOrder: (0..<12).map { UInt32($0) })
    // 001 + 010 << 3 + 111 << 6 = 1 1101 0001; 101 + 000 << 3 + 100 << 6 = 1 0000 0101.
    #expect(linear.encoded(prefix: "x")[0].bytes == [0b1101_0001, 1, 0b0000_0101, 1])
  }

  @Test func wideLinearsStoreTheirOrderInFourBytes() throws {
    let format = PackedFormat(groupSize: 16, codebookBits: [1], criticalRatio: 0)
    for (columns, type) in [(65_535, ElementType.uint16), (65_536, .uint32)] {
      let linear = try Self.random(format, rows: 1, columns: columns)
      let tensors = linear.encoded(prefix: "p")
      #expect(tensors.last?.type == type)
      let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
      #expect(try PackedLinear(prefix: "p", format: format) { byName[$0] } == linear, "\(TestRun.seedSetting)")
    }
  }

  @Test func bitsAreThoseOfTheFormula() {
    let bits = BitsPerWeight(format: PackedFormat(), rows: 576, columns: 576)
    #expect(bits.codes == 1 + 24.0 / 576)
    #expect(bits.codebooks == Double(16 * 8 * 1024) / Double(576 * 576))
    #expect(bits.scales == 16.0 / 576 && bits.channelOrder == 16.0 / 576)
    #expect(bits.total == bits.totalWithoutChannelOrder + bits.channelOrder)
  }

  /// What is wrong with a tensor, by name.
  @Test(arguments: [
    "codes missing", "codes shape", "codes bytes", "codes type", "stray critical codes", "codebooks shape",
    "codebook infinite", "scale nan", "order out of range", "order twice", "order too long", "set bit behind a row",
    "critical codes shape",
  ])
  func corruptionIsRefused(what: String) throws {
    let format = PackedFormat(groupSize: 4, codebookBits: [3, 5], criticalRatio: 0.5)
    let linear = try Self.random(format, rows: 3, columns: 44)
    var tensors = Dictionary(uniqueKeysWithValues: linear.encoded(prefix: "p").map { ($0.name, $0) })
    func change(
      _ suffix: String, type: ElementType? = nil, shape: [Int]? = nil, _ edit: (inout [UInt8]) -> Void = { _ in }
    ) throws {
      let old = try #require(tensors["p.\(suffix)"])
      var bytes = old.bytes
      edit(&bytes)
      tensors[old.name] = PackedTensor(
        name: old.name, type: type ?? old.type, shape: shape ?? old.shape, bytes: bytes)
    }
    var readFormat = format
    switch what {
    case "codes missing": tensors["p.codes"] = nil
    case "codes shape": try change("codes", shape: [5, 3])
    case "codes bytes": try change("codes") { $0.removeLast() }
    case "codes type": try change("codes", type: .uint16)
    case "stray critical codes": readFormat.criticalRatio = 0
    case "codebooks shape": try change("codebooks", shape: [20, 8])
    case "codebook infinite": try change("codebooks") { $0[1] = 0x7c }
    case "scale nan": try change("scales") { $0[1] = 0x7e }
    case "order out of range": try change("channel_order") { $0[0] = 44 }
    case "order twice": try change("channel_order") { $0[0] = $0[2] }
    case "order too long": try change("channel_order", shape: [45])
    case "set bit behind a row": try change("codes") { $0[4] |= 0x80 }
    default: try change("critical_codes", shape: [3, 4])
    }
    let error = try #require(throws: CRVQError.self, "\(TestRun.seedSetting)") {
      try PackedLinear(prefix: "p", format: readFormat) { tensors[$0] }
    }
    #expect(error.kind == .malformed && !error.message.contains("\n"))
    #expect(error.message.hasPrefix("p"))
  }
}
