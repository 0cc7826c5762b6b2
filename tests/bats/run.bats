#!/usr/bin/env bats
# tests/run.sh itself: every step runs whatever the one before it said, and the end tells which failed.
bats_require_minimum_version 1.5.0

setup() {
  load helper
  make_checkout
  make_venv
  mkdir -p "$CHECKOUT/tests/speed" "$CHECKOUT/tests/e2e"
  cp "$REPOSITORY/tests/run.sh" "$CHECKOUT/tests"
  for tool in ruff mypy yamllint shellcheck shfmt bats pytest; do
    BIN="$CHECKOUT/.venv/bin" fake "$tool" "exit 0"
  done
  fake_demo 0
}

# fake_demo STATUS: a deploy.sh that installs nothing, and whose demo ends with this status.
fake_demo() {
  # shellcheck disable=SC2016 # $CALLS is for the fake
  printf '#!/usr/bin/env bash\necho "deploy.sh $*" >>"$CALLS"\n[[ "$1" == install ]] || exit %s\n' "$1" \
    >"$CHECKOUT/deploy.sh"
}

@test "all steps pass: 0, and a line for each" {
  run --separate-stderr "$CHECKOUT/tests/run.sh"
  exits 0
  for name in install ruff ruff-format mypy yamllint shell bats pytest speed; do says "$name "; done
  says "all passed"
  [[ "$output" != *e2e* ]]
  grep -qx 'deploy.sh install --extra test' "$CALLS"
  run ! grep -q '^deploy.sh demo\|tests/page$\|tests/large$\|tests/e2e$' "$CALLS"
}

@test "one step fails: the others still run, and it is named" {
  BIN="$CHECKOUT/.venv/bin" fake mypy "exit 1"
  BIN="$CHECKOUT/.venv/bin" fake shellcheck "exit 1"
  run --separate-stderr "$CHECKOUT/tests/run.sh"
  exits 1
  says "failed: mypy shell"
  grep -q ^pytest "$CALLS"
}

@test "--all adds the demo, its page, large boards and the end-to-end tests" {
  run --separate-stderr "$CHECKOUT/tests/run.sh" --all
  exits 0
  for call in 'deploy.sh demo' 'pytest -q tests/page' 'pytest -q -s tests/large' 'pytest -q tests/e2e'; do
    grep -qx "$call" "$CALLS"
  done
  fake_demo 1
  run --separate-stderr "$CHECKOUT/tests/run.sh" --all
  exits 1
  says "failed: demo"
}

@test "--train installs PyTorch for the tests that need it, with --all too" {
  run --separate-stderr "$CHECKOUT/tests/run.sh" --train
  exits 0
  grep -qx 'deploy.sh install --extra test --extra train' "$CALLS"
  run ! grep -q '^deploy.sh demo' "$CALLS"
  run --separate-stderr "$CHECKOUT/tests/run.sh" --train --all
  exits 0
  grep -qx 'deploy.sh demo' "$CALLS"
}

@test "no Python, no packages: it ends there" {
  printf '#!/usr/bin/env bash\nexit 1\n' >"$CHECKOUT/deploy.sh"
  run --separate-stderr "$CHECKOUT/tests/run.sh"
  exits 1
  run ! grep -q ^pytest "$CALLS"
}

@test "what is not understood is 2" {
  run --separate-stderr "$CHECKOUT/tests/run.sh" --fast
  exits 2
  says "unknown option: --fast"
}

@test "NUCLIO_BIN is named from where the user stands, handed on, and said" {
  # shellcheck disable=SC2016 # $NUCLIO_BIN is for the fake
  BIN="$CHECKOUT/.venv/bin" fake pytest 'echo "NUCLIO_BIN=${NUCLIO_BIN:-}" >>"$CALLS"'
  mkdir "$BATS_TEST_TMPDIR/nuclio"
  cd "$BATS_TEST_TMPDIR"
  NUCLIO_BIN=nuclio run --separate-stderr "$CHECKOUT/tests/run.sh" --all
  exits 0
  says "nuclio: $BATS_TEST_TMPDIR/nuclio"
  grep -qx "NUCLIO_BIN=$BATS_TEST_TMPDIR/nuclio" "$CALLS"
  NUCLIO_BIN=nowhere run --separate-stderr "$CHECKOUT/tests/run.sh" --all
  exits 1
  run --separate-stderr "$CHECKOUT/tests/run.sh" --all
  says "nuclio: 替身 stand-ins"
}
