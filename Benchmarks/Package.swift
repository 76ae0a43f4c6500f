// swift-tools-version: 6.1
import PackageDescription

/// Programs of their own in place of package-benchmark, which compares absolute times with those of earlier runs: what counts here
/// are ratios of two things measured by turns in one run.
let package = Package(
  name: "Benchmarks",
  dependencies: [.package(name: "crvq", path: "..")],
  targets: [
    .executableTarget(name: "SolverBenchmark", dependencies: [.product(name: "CRVQ", package: "crvq")]),
    .executableTarget(name: "BlockBenchmark", dependencies: [.product(name: "Transformer", package: "crvq")]),
    .target(name: "PlainTransfer", linkerSettings: [.linkedLibrary("zmq")]),
    .executableTarget(
      name: "TransferBenchmark", dependencies: ["PlainTransfer", .product(name: "Messaging", package: "crvq")]),
  ],
  swiftLanguageModes: [.v6]
)
