# Sourced by the scripts beside it: where things are, and how they speak and fail.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
script=$(basename "$0")

exit_usage=64
exit_unavailable=69

say() { printf '%s: %s\n' "$script" "$*" >&2; }

# fail CODE MESSAGE…
fail() {
  local code=$1
  shift
  say "$@"
  exit "$code"
}

# Runs a module of python/crvq with the packages of .venv.
run_python() { PYTHONPATH=$root/python "$venv/bin/python" "$@"; }

# The usage text of a script is the comment at its top.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }
