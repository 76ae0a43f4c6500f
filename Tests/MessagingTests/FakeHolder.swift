import Foundation
import Messaging
import Synchronization

/// A holder that does what a test wants of it: the boundary where bad holders are made.
final class FakeHolder: Sendable {
  let endpoint: String
  private let state = State()

  /// Shared with the thread, which must not keep the holder itself alive.
  private final class State: Sendable {
    let isStopping = Atomic<Bool>(false)
    let requests = Atomic<Int>(0)
    let hasEnded = DispatchSemaphore(value: 0)
  }

  enum Answer {
    case frames([[UInt8]], data: [UInt8]?)
    case silence
    /// Closes the socket, as a process that dies does.
    case death
  }

  var requestCount: Int { state.requests.load(ordering: .sequentiallyConsistent) }

  init(_ context: ZMQContext, _ answer: @escaping @Sendable (WireArtifactRequest) throws -> Answer) throws {
    let bound = Mutex("")
    let hasBegun = DispatchSemaphore(value: 0)
    Thread { [state] in
      defer { state.hasEnded.signal() }
      guard let socket = try? ZMQSocket(.router, context: context, limits: .artifactServer) else { return }
      bound.withLock { $0 = (try? socket.bind("tcp://127.0.0.1:*")) ?? "" }
      hasBegun.signal()
      while !state.isStopping.load(ordering: .acquiring) {
        guard case .message(let frames)? = try? socket.receive() else {
          Thread.sleep(forTimeInterval: 0.002)
          continue
        }
        state.requests.wrappingAdd(1, ordering: .sequentiallyConsistent)
        guard
          case .request(let request)? = try? ArtifactMessage(
            header: frames[1].bytes, payload: frames[2].bytes, dataLengths: [])
        else { continue }
        switch try? answer(request) {
        case .frames(let answer, let data)?:
          _ = try? socket.send([frames[0].bytes] + answer + (data.map { [$0] } ?? []))
        case .silence?, nil: continue
        case .death?: return
        }
      }
    }.start()
    hasBegun.wait()
    endpoint = bound.withLock { $0 }
  }

  deinit {
    state.isStopping.store(true, ordering: .releasing)
    state.hasEnded.wait()
  }
}
