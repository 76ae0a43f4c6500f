// swift-tools-version: 6.1
import PackageDescription

/// Modules know only those named in their dependencies; the graph is drawn in README.md.
let package = Package(
  name: "crvq",
  dependencies: [
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
  ],
  targets: [
    // C libraries, each imported by exactly one module of ours.
    .systemLibrary(name: "COpenBLAS"),
    .systemLibrary(name: "CZeroMQ"),
    .target(name: "CKernels"),

    .target(name: "Numerics", dependencies: ["CKernels", "COpenBLAS"]),
    .target(name: "Checkpoint", dependencies: ["Numerics"]),
    .target(name: "CRVQ", dependencies: ["Checkpoint", "Numerics"]),
    .target(name: "Transformer", dependencies: ["Checkpoint", "Numerics"]),

    .target(name: "JobGraph"),
    .target(
      name: "Messaging",
      dependencies: [
        "CZeroMQ",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Protocol/crvq.proto"]
    ),

    .testTarget(name: "JobGraphTests", dependencies: ["JobGraph"]),
    .testTarget(name: "NumericsTests", dependencies: ["Numerics"]),
    .testTarget(name: "CheckpointTests", dependencies: ["Checkpoint"]),
    .testTarget(name: "CRVQTests", dependencies: ["CRVQ"]),
    .testTarget(name: "TransformerTests", dependencies: ["Transformer"]),
    .testTarget(name: "MessagingTests", dependencies: ["Messaging"]),
  ],
  swiftLanguageModes: [.v6]
)
