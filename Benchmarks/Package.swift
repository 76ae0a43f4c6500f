// swift-tools-version: 6.1
import PackageDescription

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
