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

# fake_demo STATUS: deploy.sh stands in for the demo.
fake_demo() {
  # shellcheck disable=SC2016 # $CALLS is for the fake
  printf '#!/usr/bin/env bash\necho "deploy.sh $*" >>"$CALLS"\nexit %s\n' "$1" >"$CHECKOUT/deploy.sh"
}

@test "all steps pass: 0, and a line for each" {
  run --separate-stderr "$CHECKOUT/tests/run.sh"
  exits 0
  for name in install ruff ruff-format mypy yamllint shell bats pytest speed; do says "$name "; done
  says "all passed"
  [[ "$output" != *e2e* ]]
  run ! grep -q '^deploy.sh\|tests/page$\|tests/large$\|tests/e2e$' "$CALLS"
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
