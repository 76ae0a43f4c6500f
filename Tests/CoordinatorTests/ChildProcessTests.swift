import Coordinator
import Foundation
import Testing

@Suite struct ChildProcessTests {
  private func shell(_ script: String, output: FileHandle? = nil) throws -> ChildProcess {
    try ChildProcess(ChildProcess.Start(executable: "/bin/sh", arguments: ["-c", script], output: output))
  }

  /// What a shell says that ends by itself.
  private func output(of script: String) throws -> String {
    let pipe = Pipe()
    let child = try shell(script, output: pipe.fileHandleForWriting)
    try pipe.fileHandleForWriting.close()
    let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    #expect(child.waitUntilExit() == .exited(0))
    return text
  }

  @Test(arguments: [
    ("exit 0", ProcessEnd.exited(0)), ("exit 75", .exited(75)), ("exit 255", .exited(255)),
    ("exit 137", .killed(signal: SIGKILL)), ("kill -TERM $$", .killed(signal: SIGTERM)),
  ])
  func endsAreTold(script: String, end: ProcessEnd) throws {
    #expect(try shell(script).waitUntilExit() == end)
  }

  /// As ssh does: it closes whatever it inherits.
  @Test func oneEndIsNoticedWhileAnotherLives() throws {
    let closing = "for fd in 3 4 5 6 7 8 9; do eval \"exec $fd>&-\"; done; exec sleep"
    let long = try shell("\(closing) 1000")
    defer { long.send(SIGKILL) }
    let short = try shell("\(closing) 0.1")
    #expect(short.waitUntilExit(orKillAt: .now + .seconds(60)).end == .exited(0))
    #expect(long.isRunning)
  }

  @Test func aLateOneIsKilled() throws {
    let (end, isLate) = try shell("exec sleep 1000").waitUntilExit(orKillAt: .now + .milliseconds(50))
    #expect(isLate)
    #expect(end == .killed(signal: SIGKILL))
  }

  @Test func itsEndIsToldToAllWhoAsk() throws {
    let child = try shell("exit 3")
    for _ in 1...3 { #expect(child.waitUntilExit() == .exited(3)) }
    #expect(!child.isRunning)
    child.send(SIGKILL)
  }

  @Test func itInheritsNothingButItsInputAndOutput() throws {
    let file = try #require(FileHandle(forReadingAtPath: "/dev/zero"))
    defer { try? file.close() }
    let inheritable = dup(file.fileDescriptor)
    defer { close(inheritable) }
    // Reading the directory takes a descriptor for itself.
    #expect(try output(of: "ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 ")
  }

  @Test func itHeedsSignalsThatThisProcessIgnores() throws {
    let before = signal(SIGUSR1, SIG_IGN)
    defer { signal(SIGUSR1, before) }
    #expect(try shell("kill -USR1 $$; exit 1").waitUntilExit() == .killed(signal: SIGUSR1))
  }

  @Test func aGroupOfItsOwn() throws {
    let group = try output(of: "cut -d ' ' -f 5 /proc/$$/stat")
    #expect(group != "\(getpgrp())\n")
    #expect(group != "")
  }

  @Test func whatCannotBeStartedIsNamed() throws {
    let error = #expect(throws: CoordinatorError.self) {
      try ChildProcess(ChildProcess.Start(executable: "/opt/none/ssh", arguments: []))
    }
    #expect("\(try #require(error))" == "/opt/none/ssh: cannot be started: No such file or directory")
  }
}
