import Numerics

/// The activations of one site for some sequences, row-major [sequences, length, width]. Valid during the call it is passed to.
public struct SiteActivations {
  public let site: Site
  public let sequences: Int
  public let length: Int
  public let width: Int
  public let values: UnsafePointer<Float>

  /// Positions of all sequences.
  public var rows: Int { sequences * length }
}

/// Receives the activations of the sites it asks for while a block runs forward.
///
/// A batch arrives in one or more calls a site, sequences in order. How many sequences come at a time depends on memory
/// alone; an observer whose result must be reproducible treats each sequence by itself, in order.
public protocol SiteObserver: AnyObject {
  /// The sites whose activations are wanted.
  var sites: Set<Site> { get }

  /// Takes in the activations of one of ``sites``. Called on the forward pass's thread while the team is idle.
  func observe(_ activations: SiteActivations, team: ThreadTeam)
}
