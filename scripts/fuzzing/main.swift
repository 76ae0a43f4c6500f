import Checkpoint
import Foundation

// Two inputs of the checkpoint readers for libFuzzer, chosen by the first byte: a safetensors file and a config.json. See
// scripts/fuzz-files.

private let directory: String = {
  let path = "/dev/shm/crvq-fuzz-\(getpid())"
  mkdir(path, 0o700)
  atexit { try? FileManager.default.removeItem(atPath: "/dev/shm/crvq-fuzz-\(getpid())") }
  return path
}()

private func write(_ bytes: UnsafeBufferPointer<UInt8>, to name: String) -> String {
  let path = "\(directory)/\(name)"
  // A new file each time: one that is mapped must not change.
  unlink(path)
  let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  _ = Foundation.write(descriptor, bytes.baseAddress, bytes.count)
  close(descriptor)
  return path
}

private func readTensors(_ path: String) throws {
  let file = try SafetensorsFile(path: path)
  for name in file.tensorNames {
    let info = try file.info(name)
    let count = try info.elementType.isFloatingPoint ? file.floats(name).count : file.integers(name).count
    precondition(count == info.byteRange.count / info.elementType.byteCount)
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start, count > 1 else { return 0 }
  let bytes = UnsafeBufferPointer(start: start + 1, count: count - 1)
  do {
    if start[0] & 1 == 0 {
      try readTensors(write(bytes, to: "t.safetensors"))
    } else {
      _ = write(bytes, to: "config.json")
      _ = try ModelConfig(directory: directory)
    }
  } catch {
    // Everything is refused in the one way that callers know.
    precondition(error is CheckpointError, "\(error)")
  }
  return 0
}
