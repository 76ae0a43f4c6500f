import Messaging

/// What a task made.
struct TaskOutcome {
  let result: WireTaskDone.OneOf_Result
  let outputs: [WireArtifactRef]
}
