import Checkpoint
import Messaging

/// A digest that tells models apart without reading their weights: the configuration, and the name, size and header of
/// every weight file.
public enum ModelFingerprint {
  public static func of(_ checkpoint: Checkpoint, _ config: ModelConfig) -> Digest {
    var builder = DigestBuilder()
    func add(_ text: String) { Array(text.utf8).withUnsafeBytes { builder.update($0) } }
    add(config.configJSON(adding: .null))
    for shard in checkpoint.shards {
      let name = shard.path.split(separator: "/").last.map(String.init) ?? ""
      add("\n\(name) \(shard.byteCount)\n")
      shard.withHeaderBytes { builder.update($0) }
    }
    return builder.digest
  }
}
