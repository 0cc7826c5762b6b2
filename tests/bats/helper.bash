# shellcheck shell=bash
# A checkout in small, in a path with a space, and fakes of the programs that deploy.sh calls.

REPOSITORY="$(cd -P -- "${BASH_SOURCE[0]%/*}/../.." && pwd)"
# Where the project is installed; tests/run.sh sets it.
VENV="${PCB_TEST_VENV:-$REPOSITORY/.venv}"

make_checkout() {
  CHECKOUT="$BATS_TEST_TMPDIR/check out"
  CALLS="$BATS_TEST_TMPDIR/calls"
  BIN="$BATS_TEST_TMPDIR/bin"
  mkdir -p "$CHECKOUT" "$BIN"
  : >"$CALLS"
  cp -r "$REPOSITORY/deploy.sh" "$REPOSITORY/deploy" "$REPOSITORY/pyproject.toml" "$CHECKOUT"
  make_function inner-layer 'def handler(context, event):
    return "[]"'
  export PATH="$BIN:$PATH" CALLS
  unset PIP_CACHE_DIR PYTHON
}

# make_function NAME CODE: a function folder whose handler is CODE.
make_function() {
  mkdir -p "$CHECKOUT/functions/$1"
  printf '%s\n' "$2" >"$CHECKOUT/functions/$1/main.py"
  cat >"$CHECKOUT/functions/$1/function.yaml" <<EOF
metadata:
  name: pcb-$1
  annotations: {name: $1, type: detector, spec: '[{"name": "开路", "type": "rectangle", "attributes": []}]'}
spec: {description: test, handler: "main:handler"}
EOF
}

# fake NAME BODY: a program in front of PATH; BODY is bash, and CALLS gets a line for each call.
fake() {
  mkdir -p "$BIN"
  {
    # shellcheck disable=SC2016 # $CALLS is for the fake
    printf '#!/usr/bin/env bash\n{ printf %%s %q; printf " %%q" "$@"; echo; } >>"$CALLS"\n' "$1"
    printf '%s\n' "$2"
  } >"$BIN/$1"
  chmod +x "$BIN/$1"
}

# fake_interpreter NAME BODY: a Python that runs deploy/ for real; BODY answers what deploy/ asks of it.
fake_interpreter() {
  fake "$1" "[[ \"\$*\" != *deploy.__main__* ]] || exec '$VENV/bin/python' \"\$@\"
$2"
}

# fake_python BODY: every Python that deploy.sh may look for.
fake_python() {
  local name
  for name in python3 python3.1{0..4}; do fake_interpreter "$name" "$1"; done
}

# An environment in the checkout that runs the installed project, and only notes what pip is asked for.
make_venv() {
  local folder="$CHECKOUT/.venv/bin"
  mkdir -p "$folder"
  cat >"$folder/python" <<EOF
#!/usr/bin/env bash
if [[ "\$1 \$2" == "-m pip" ]]; then
  { printf pip; printf ' %q' "\${@:3}"; echo; } >>"\$CALLS"
  exit "\${FAKE_PIP:-0}"
fi
exec "$VENV/bin/python" "\$@"
EOF
  printf '#!/usr/bin/env bash\nexec "%s/bin/pcb-aoi" "$@"\n' "$VENV" >"$folder/pcb-aoi"
  cp "$folder/python" "$folder/pip"
  printf 'version = %s\ncommand = /usr/bin/python3 -m venv --clear %s\n' \
    "$("$VENV/bin/python" -c 'import platform; print(platform.python_version())')" "$CHECKOUT/.venv" \
    >"$CHECKOUT/.venv/pyvenv.cfg"
  chmod +x "$folder"/*
}

# without PROGRAM...: a PATH with the system's tools but without the programs named.
without() {
  local place="$BATS_TEST_TMPDIR/path" folder file folders
  local -A programs
  IFS=: read -r -a folders <<<"${PATH#"$BIN:"}"
  for folder in "${folders[@]}"; do
    for file in "$folder"/*; do
      # Programs only: a PATH may hold folders, and links to nothing or to themselves (/usr/bin/X11 of x11-common).
      [[ ! -f "$file" || ! -x "$file" || -n "${programs["${file##*/}"]:-}" ]] || programs["${file##*/}"]="$file"
    done
  done
  for file in "$@"; do
    rm -f "$BIN/$file"
    unset "programs[$file]"
  done
  mkdir -p "$place"
  ln -s -t "$place" -- "${programs[@]}"
  export PATH="$BIN:$place"
}

free_port() {
  "$VENV/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

deploy() {
  run --separate-stderr "$CHECKOUT/deploy.sh" "$@"
}

# says TEXT: stdout or stderr has it; shows both when it does not.
# shellcheck disable=SC2154 # output, stderr and status are set by bats
says() {
  [[ "$output$stderr" == *"$1"* ]] && return
  printf 'missing: %s\nstatus: %s\nstdout:\n%s\nstderr:\n%s\n' "$1" "$status" "$output" "$stderr"
  return 1
}

# exits STATUS: deploy.sh ended with it; shows what it said when it did not.
exits() {
  [[ "$status" -eq "$1" ]] && return
  printf 'status %s, not %s\nstdout:\n%s\nstderr:\n%s\n' "$status" "$1" "$output" "$stderr"
  return 1
}
