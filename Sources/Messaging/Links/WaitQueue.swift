import Foundation

/// A queue between threads with limits on its length and its bytes, and a wait on the monotonic clock.
final class WaitQueue<Element: Sendable>: @unchecked Sendable {
  // Everything below is guarded by `mutex`. pthread objects must not move, hence the pointers; the condition's clock is the
  // monotonic one, which Foundation's does not offer, so that a step of the wall clock neither hurries nor hangs a waiter.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var elements: [(element: Element, cost: Int)?] = []
  private var head = 0
  private var totalCost = 0
  private var hasClosed = false
  private var spaceIsAwaited = false

  /// The most elements that ``offer(_:cost:)`` takes.
  let limit: Int
  /// No element is taken while those in the queue cost this much, in bytes.
  let costLimit: Int
  private let onSpace: @Sendable () -> Void

  /// - Parameter onSpace: called, by the thread that takes, when a queue found full by ``hasSpace()`` is half empty.
  init(limit: Int, costLimit: Int = .max, onSpace: @escaping @Sendable () -> Void = {}) {
    self.limit = limit
    self.costLimit = costLimit
    self.onSpace = onSpace
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  private var count: Int { elements.count - head }

  private var isFull: Bool { count >= limit || totalCost >= costLimit }

  private func insert(_ element: Element, _ cost: Int) {
    elements.append((element, cost))
    totalCost += cost
    pthread_cond_signal(condition)
  }

  /// Appends an element unless the queue is full or closed.
  ///
  /// - Parameter cost: bytes it keeps in memory.
  func offer(_ element: Element, cost: Int = 0) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if hasClosed || isFull { return false }
    insert(element, cost)
    return true
  }

  /// Appends an element over the limit too; for what must not be lost and is bounded by its senders.
  ///
  /// - Parameter cost: bytes it keeps in memory.
  /// - Returns: false if the queue is closed, and nobody will take the element.
  @discardableResult
  func append(_ element: Element, cost: Int = 0) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if !hasClosed { insert(element, cost) }
    return !hasClosed
  }

  /// Whether there is room. If not, `onSpace` will be called once there is.
  func hasSpace() -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if !isFull { return true }
    spaceIsAwaited = true
    return false
  }

  /// Takes the first element, waiting for one until `deadline`; nil waits for ever.
  ///
  /// - Returns: nil at the deadline, or at once when the queue is closed and empty.
  func take(until deadline: ContinuousClock.Instant?) -> Element? {
    pthread_mutex_lock(mutex)
    while count == 0, !hasClosed {
      guard let deadline else {
        pthread_cond_wait(condition, mutex)
        continue
      }
      let remaining = deadline - ContinuousClock.now
      if remaining <= .zero { break }
      var until = Self.monotonic(after: remaining)
      pthread_cond_timedwait(condition, mutex, &until)
    }
    let element = removeFirst()
    let mustTell = spaceIsAwaited && count <= limit / 2 && totalCost <= costLimit / 2
    if mustTell { spaceIsAwaited = false }
    pthread_mutex_unlock(mutex)
    if mustTell { onSpace() }
    return element
  }

  private func removeFirst() -> Element? {
    guard count > 0, let (element, cost) = elements[head] else { return nil }
    elements[head] = nil
    head += 1
    totalCost -= cost
    // Taken elements are let go in batches: moving the rest down for each would be quadratic.
    if head == elements.count || head >= 256 {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }

  /// Takes everything there is.
  func takeAll() -> [Element] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    let all = elements[head...].compactMap { $0?.element }
    elements.removeAll(keepingCapacity: true)
    head = 0
    totalCost = 0
    return all
  }

  /// Takes no more elements and wakes every waiter. What is in the queue can still be taken.
  func close() {
    pthread_mutex_lock(mutex)
    hasClosed = true
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }

  var isClosed: Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return hasClosed
  }

  private static func monotonic(after remaining: Duration) -> timespec {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    // A wait beyond a day is cut: the caller's loop looks at its deadline again.
    let (seconds, attoseconds) = min(remaining, .seconds(86_400)).components
    let nanoseconds = now.tv_nsec + Int(attoseconds / 1_000_000_000)
    return timespec(
      tv_sec: now.tv_sec + Int(seconds) + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
  }
}
