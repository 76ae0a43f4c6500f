/// The scripts that run on another machine: short, for any POSIX shell, and without a secret in them.
enum RemoteWorker {
  /// What the script says when the kernel has ended the worker for want of memory.
  static let outOfMemory = "crvq: the kernel has ended the worker for want of memory"

  /// Runs the words it is given. The shell stays, so that the end of the worker and not that of ssh is told.
  ///
  /// The machine's count of such kills is all there is to read without knowing how it is set up.
  static let run = """
    kills() { sed -n "s/^oom_kill //p" /proc/vmstat 2>/dev/null; }
    before=$(kills)
    "$@"
    status=$?
    after=$(kills)
    if [ $status = 137 ] && [ "${after:-0}" -gt "${before:-0}" ]; then echo "\(outOfMemory)" >&2; fi
    exit $status
    """

  /// Receives the worker program on standard input. Arguments: its directory, its name there, its size in bytes.
  static let receive = """
    set -e
    umask 077
    mkdir -p "$1"
    cat > "$1/.$2.$$"
    if [ "$(wc -c < "$1/.$2.$$")" -ne "$3" ]; then rm -f "$1/.$2.$$"; echo "the copy is incomplete" >&2; exit 74; fi
    chmod 700 "$1/.$2.$$"
    mv -f "$1/.$2.$$" "$1/$2"
    "$1/$2" --version > /dev/null
    """
}
