/// What is said to the OpenSSH client. The user's configuration, agent and jump hosts hold as always.
package struct SSHCommand: Sendable, Equatable {
  /// Further words of the cluster file, before ours: of an option that comes twice, ssh takes the first.
  package var options: [String]
  package var host: String

  package init(host: String, options: [String]) {
    self.host = host
    self.options = options
  }

  /// Nobody is there to answer questions; a host that is silent for 45 seconds is gone, as it is for a worker.
  private static let own = [
    "-T", "-oBatchMode=yes", "-oConnectTimeout=15", "-oServerAliveInterval=15", "-oServerAliveCountMax=3",
  ]

  /// The words after `ssh` that run a shell script with arguments.
  package func arguments(script: String, _ words: [String] = []) -> [String] {
    let remote = (["sh", "-c", script, "crvq"] + words).map(Self.quoted).joined(separator: " ")
    return options + Self.own + ["--", host, remote]
  }

  /// One word for the shell at the other end, whichever of the usual ones it is.
  package static func quoted(_ word: String) -> String {
    let isPlain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
          UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: ","):
          true
        default: false
        }
      }
    return isPlain
      ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
