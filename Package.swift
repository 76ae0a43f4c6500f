// swift-tools-version: 6.1
import PackageDescription

/// Modules know only those named in their dependencies; README.md has a table of them.
let package = Package(
  name: "crvq",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "crvq-coord", targets: ["crvq-coord"]),
    .executable(name: "crvq-worker", targets: ["crvq-worker"]),
    .library(name: "CRVQ", targets: ["CRVQ", "Checkpoint", "Numerics"]),
    .library(name: "Messaging", targets: ["Messaging"]),
    .library(name: "Transformer", targets: ["Transformer", "Checkpoint", "Numerics"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    // For the dashboard, without Hummingbird: that brings swift-numerics, whose module has the name of our Numerics.
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // C libraries, each imported by exactly one module of ours.
    .systemLibrary(name: "COpenBLAS"),
    .systemLibrary(name: "CZeroMQ"),
    .target(name: "CKernels"),
    .target(name: "CChecksum"),
    .target(name: "CMapping"),
    .target(name: "CSpawn"),

    .target(name: "Mapping", dependencies: ["CMapping"]),
    .target(name: "Numerics", dependencies: ["CKernels", "COpenBLAS"]),
    .target(name: "Checkpoint", dependencies: ["Mapping", "Numerics"]),
    .target(name: "CRVQ", dependencies: ["Checkpoint", "Numerics"]),
    .target(name: "Transformer", dependencies: ["Checkpoint", "Numerics"]),

    .target(name: "JobGraph"),
    .target(name: "Machines", dependencies: ["Numerics"]),
    .target(
      name: "Messaging",
      dependencies: [
        "CChecksum", "CZeroMQ",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Protocol/crvq.proto"]
    ),

    .target(
      name: "Worker",
      dependencies: [
        "CRVQ", "Checkpoint", "JobGraph", "Machines", "Messaging", "Numerics", "Transformer",
        .product(name: "Logging", package: "swift-log"),
      ]
    ),
    .target(
      name: "Coordinator",
      dependencies: [
        "CRVQ", "CSpawn", "Checkpoint", "JobGraph", "Machines", "Messaging", "Numerics", "Transformer",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Yams", package: "Yams"),
      ]
    ),

    .target(
      name: "Program",
      dependencies: [
        "Mapping",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]
    ),
    .executableTarget(
      name: "crvq-coord",
      dependencies: [
        "CRVQ", "Checkpoint", "Coordinator", "JobGraph", "Machines", "Messaging", "Numerics", "Program", "Transformer",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]
    ),
    .executableTarget(
      name: "crvq-worker",
      dependencies: [
        "Machines", "Messaging", "Numerics", "Program", "Worker",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]
    ),

    .target(name: "TestSupport", dependencies: ["Checkpoint", "Numerics"], path: "Tests/TestSupport"),
    .testTarget(name: "CRVQTests", dependencies: ["CRVQ", "Checkpoint", "Numerics", "TestSupport"]),
    .testTarget(name: "CheckpointTests", dependencies: ["Checkpoint", "Numerics", "TestSupport"], exclude: ["Golden"]),
    .testTarget(
      name: "CoordinatorTests",
      dependencies: [
        "CRVQ", "Checkpoint", "Coordinator", "JobGraph", "Machines", "Messaging", "Transformer", "TestSupport",
      ]),
    .testTarget(name: "JobGraphTests", dependencies: ["JobGraph", "TestSupport"]),
    .testTarget(name: "MessagingTests", dependencies: ["Messaging", "TestSupport"]),
    .testTarget(name: "NumericsTests", dependencies: ["Numerics", "TestSupport"]),
    .testTarget(name: "TransformerTests", dependencies: ["Transformer", "TestSupport"], exclude: ["Golden"]),
    .testTarget(
      name: "WorkerTests",
      dependencies: ["CRVQ", "Checkpoint", "Messaging", "Numerics", "Transformer", "Worker", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)
