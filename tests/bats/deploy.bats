#!/usr/bin/env bats
# deploy.sh's options, messages, Python and virtual environment: nothing here starts a server.
bats_require_minimum_version 1.5.0

setup() {
  load helper
  make_checkout
}

@test "without arguments: usage on stderr, 2" {
  deploy
  exits 2
  [[ -z "$output" ]]
  says "Usage: ./deploy.sh COMMAND"
}

@test "--help: usage on stdout, 0" {
  deploy --help
  exits 0
  [[ -z "$stderr" ]]
  for word in demo up status down check bundle rollback --platform --gpu --function --dry-run; do says "$word"; done
}

@test "what is not understood is 2, and says what" {
  while IFS='|' read -r arguments text; do
    # shellcheck disable=SC2086 # one word an argument
    deploy $arguments
    exits 2
    says "$text"
    says "see ./deploy.sh --help"
  done <<'EOF'
up --frobnicate|unknown option: --frobnicate
--gpu|a command is missing
up -g|unknown option: -g
launch|unknown command: launch
up down|unexpected argument: down
up --platform|--platform needs a value
up --platform --gpu|--platform needs a value
up --platform swarm|embedded local kube; swarm
up --function none|no such function: none
up --function ../functions/inner-layer|no such function: ../functions/inner-layer
up --language fr|must be zh or en; fr
up --port 0|must be 1..65535; 0
up --port 65536|must be 1..65535; 65536
up --port http|must be 1..65535; http
EOF
}

@test "Python without venv: names the package" {
  # shellcheck disable=SC2016 # runs in the fake
  fake_python '[[ "$2" != *ensurepip* ]]'
  deploy up
  exits 1
  says "sudo apt-get install python3-venv"
  [[ ! -e "$CHECKOUT/.venv" ]]
}

@test "Python too old: says which is needed" {
  fake_python 'exit 1'
  deploy demo
  exits 1
  says "Python 3.11"
}

@test "PYTHON comes first" {
  fake_interpreter chosen 'exit 0'
  PYTHON=chosen deploy check --dry-run
  exits 0
  says "+ $BIN/chosen -m venv"
}

@test "--dry-run prints every command and changes nothing" {
  fake_python 'exit 0'
  before="$(find "$CHECKOUT" | sort)"
  for command in demo check up down; do
    deploy "$command" --dry-run
    exits 0
  done
  deploy up --dry-run --function inner-layer --language en
  exits 0
  says "-m venv --clear $(printf %q "$CHECKOUT/.venv")"
  says "-m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r $(printf %q "$CHECKOUT")/deploy/locks/embedded-cpu.txt"
  says '-m pip install --quiet --disable-pip-version-check --no-cache-dir --no-build-isolation --editable .\[serve\,cpu\]'
  says "/.venv/bin/pcb-aoi sync --language en"
  says "/.venv/bin/pcb-aoi serve --host 127.0.0.1 --port 8070 --function inner-layer"
  [[ "$(find "$CHECKOUT" | sort)" == "$before" ]]
  run ! grep -qv -e ' -c ' "$CALLS"
}

@test "--gpu has an environment of its own" {
  fake_python 'exit 0'
  deploy up --dry-run --gpu
  exits 0
  says "$(printf %q "$CHECKOUT/.venv-gpu")"
  says '.\[serve\,gpu\]'
  says "pcb-aoi serve --host 127.0.0.1 --port 8070 --gpu"
}

@test "packages are installed once, and again when pyproject.toml changes" {
  make_venv
  printf '#!/usr/bin/env bash\necho "checked $*"\n' >"$CHECKOUT/.venv/bin/pcb-aoi"
  deploy check --function inner-layer
  exits 0
  says "checked check --function inner-layer"
  deploy check
  exits 0
  [[ "$(grep -c 'pip install .*--editable' "$CALLS")" -eq 1 ]]
  echo '# changed' >>"$CHECKOUT/pyproject.toml"
  deploy check
  exits 0
  [[ "$(grep -c 'pip install .*--editable' "$CALLS")" -eq 2 ]]
}

@test "a failed installation says how to use a mirror, and is tried again" {
  make_venv
  FAKE_PIP=1 deploy check
  exits 1
  says "PIP_INDEX_URL"
  FAKE_PIP=1 deploy check
  exits 1
  [[ "$(grep -c 'pip install' "$CALLS")" -eq 2 ]]
}

@test "the status of the command is deploy.sh's" {
  make_venv
  printf '#!/usr/bin/env bash\nexit 7\n' >"$CHECKOUT/.venv/bin/pcb-aoi"
  deploy demo
  exits 7
}

@test "it works from any folder" {
  fake_python 'exit 0'
  cd /
  deploy up --dry-run
  exits 0
}

@test "the helper \`without\` passes over what a desktop has in its PATH" {
  odd="$BATS_TEST_TMPDIR/odd folder"
  mkdir -p "$odd/a folder"
  ln -s X11 "$odd/X11"
  ln -s nowhere "$odd/dangling"
  touch "$odd/no program" "$odd/-n" "$odd/a[b]"
  printf '#!/bin/sh\necho odd\n' >"$odd/odd one"
  chmod +x "$odd/odd one" "$odd/-n" "$odd/a[b]"
  PATH="$PATH:$odd:$odd:$BATS_TEST_TMPDIR/not-there" without docker
  [[ "$("odd one")" == odd ]]
  [[ -x "$BATS_TEST_TMPDIR/path/-n" && -x "$BATS_TEST_TMPDIR/path/a[b]" ]]
  run ! command -v docker
  run ! ls "$BATS_TEST_TMPDIR/path/X11"
  command -v cat
}
