/// Which release this is.
public enum Release {
  public static let version = "0.1.0"
  /// With the protocol, by which programs of one version are told apart that do not understand each other.
  public static let description = "\(version) (protocol \(Envelope.version))"
}
