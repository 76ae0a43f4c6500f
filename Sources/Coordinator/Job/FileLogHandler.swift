import Foundation
import Logging

/// One line an entry: time, level, message.
struct FileLogHandler: LogHandler {
  // The stream is opened once a process and never closed; stdio locks it for each call.
  nonisolated(unsafe) let stream: UnsafeMutablePointer<FILE>
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]

  init(stream: UnsafeMutablePointer<FILE>) { self.stream = stream }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let time = Date().ISO8601Format(.init(includingFractionalSeconds: true))
    fputs("\(time) \(event.level) \("\(event.message)".printable)\n", stream)
    fflush(stream)
  }
}
