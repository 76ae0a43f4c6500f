import Checkpoint
import Testing

/// Expects a ``CheckpointError`` of one line with that kind, that path and all of those pieces in its message.
func expectError(
  _ kind: CheckpointError.Kind, at path: String, _ pieces: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let error as CheckpointError {
    #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
    #expect(error.path == path, "\(error)", sourceLocation: sourceLocation)
    #expect(!error.description.contains("\n"), "\(error)", sourceLocation: sourceLocation)
    for piece in pieces {
      #expect(error.message.contains(piece), "\(error) lacks \(piece)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("another error: \(error)", sourceLocation: sourceLocation)
  }
}
