# shellcheck shell=bash
# Messages in both languages, and the one door for commands that change something.

# info CHINESE ENGLISH
info() {
  printf '==> %s / %s\n' "$1" "$2"
}

# warn CHINESE ENGLISH
warn() {
  printf '警告 / warning: %s / %s\n' "$1" "$2" >&2
}

# fatal CHINESE ENGLISH: say what to do next, and end.
fatal() {
  printf '错误 / error: %s / %s\n' "$1" "$2" >&2
  exit 1
}

# Run a command; with --dry-run print it, ready to be pasted into a shell.
run() {
  if "$DRY_RUN"; then
    printf '+'
    printf ' %q' "$@"
    printf '\n'
  else
    "$@"
  fi
}
