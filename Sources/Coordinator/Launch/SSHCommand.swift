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
    let remote = (["sh", "-c", script, "crvq"] + words).map(ShellWord.quoted).joined(separator: " ")
    return options + Self.own + ["--", host, remote]
  }
}
