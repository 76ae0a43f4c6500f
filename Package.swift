// swift-tools-version: 6.1
import PackageDescription

/// Modules know only those named in their dependencies; the graph is drawn in README.md.
let package = Package(
  name: "crvq",
  targets: [
    // C libraries, each imported by exactly one module of ours.
    .systemLibrary(name: "COpenBLAS"),
    .target(name: "CKernels"),

    .target(name: "Numerics", dependencies: ["CKernels", "COpenBLAS"]),
    .target(name: "Checkpoint", dependencies: ["Numerics"]),
    .target(name: "CRVQ", dependencies: ["Checkpoint", "Numerics"]),
    .target(name: "Transformer", dependencies: ["Checkpoint", "Numerics"]),

    .target(name: "JobGraph"),

    .testTarget(name: "JobGraphTests", dependencies: ["JobGraph"]),
    .testTarget(name: "NumericsTests", dependencies: ["Numerics"]),
    .testTarget(name: "CheckpointTests", dependencies: ["Checkpoint"]),
    .testTarget(name: "CRVQTests", dependencies: ["CRVQ"]),
    .testTarget(name: "TransformerTests", dependencies: ["Transformer"], exclude: ["Golden"]),
  ],
  swiftLanguageModes: [.v6]
)
