/// How far and how fast a running job is, as its coordinator said last.
public struct JobPace: Codable, Sendable, Equatable {
  public var phase: JobPhase
  /// Share of the work that is done, 0 to 1.
  public var progress: Double
  /// Blocks of the model.
  public var blocks: Int
  /// Linears of all blocks.
  public var linears: Int
  public var collectedBlocks: Int
  public var fittedBlocks: Int
  /// Steps of the distillation; nil in a job that does not distill.
  public var distillationSteps: Int?
  /// Tasks finished in the last minute.
  public var tasksPerMinute: Double
  /// Seconds to the end by the rate so far; nil while there is none.
  public var remainingSeconds: Double?

  package init(
    phase: JobPhase, progress: Double, blocks: Int, linears: Int, collectedBlocks: Int, fittedBlocks: Int,
    distillationSteps: Int? = nil, tasksPerMinute: Double, remainingSeconds: Double? = nil
  ) {
    self.phase = phase
    self.progress = progress
    self.blocks = blocks
    self.linears = linears
    self.collectedBlocks = collectedBlocks
    self.fittedBlocks = fittedBlocks
    self.distillationSteps = distillationSteps
    self.tasksPerMinute = tasksPerMinute
    self.remainingSeconds = remainingSeconds
  }
}
