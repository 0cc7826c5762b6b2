#!/usr/bin/env bash
# 运行全部测试。 Run the tests: linters, types, pytest and bats, in a virtual environment made here.
#
#   ./tests/run.sh          what needs Python packages only; under ten minutes
#   ./tests/run.sh --all    also boards of 178 megapixels, and what needs system packages (.ci/run installs them):
#                           a browser, Docker, nuclio
#   NUCLIO_BIN=FOLDER ./tests/run.sh --all
#                           with nuclio's own processor, nuctl, uhttpc and _nuclio_wrapper.py from that folder in place
#                           of the stand-ins; tests/e2e/README.md
#   ./tests/run.sh --train  also what needs PyTorch (the extra `train`, gigabytes)
#
# HYPOTHESIS_PROFILE=explore ./tests/run.sh looks for new counterexamples in place of the same ones on every run.
set -euo pipefail

ROOT="$(cd -P -- "${BASH_SOURCE[0]%/*}/.." && pwd)"
if [[ -n "${NUCLIO_BIN:-}" ]]; then
  NUCLIO_BIN="$(cd -- "$NUCLIO_BIN" && pwd)" # it is named from where the user stands
  export NUCLIO_BIN
fi
cd -- "$ROOT"

ALL=false
TRAIN=false
for option in "$@"; do
  case "$option" in
  --all) ALL=true ;;
  --train) TRAIN=true ;;
  --help)
    sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    printf '未知选项 / unknown option: %s\n' "$option" >&2
    exit 2
    ;;
  esac
done

RESULTS=()
FAILED=()

# step NAME COMMAND...: run it, go on whatever it says, and remember how it went.
step() {
  local name="$1" started=$SECONDS state="通过 ok"
  shift
  printf '\n=== %s\n' "$name"
  if ! "$@"; then
    state="失败 FAILED"
    FAILED+=("$name")
  fi
  RESULTS+=("$(printf '%-14s %5d s  %s' "$name" $((SECONDS - started)) "$state")")
}

# shell_files: every script of the repository, whatever its name ends with.
shell_files() {
  find . \( -name .git -o -name '.venv*' -o -name .run -o -name out \) -prune -o \
    -type f \( -name '*.sh' -o -name '*.bash' -o -name '*.bats' -o -path ./.ci/run \) -print0
}

lint_shell() {
  local files
  mapfile -d '' -t files < <(shell_files)
  "$BIN/shellcheck" --external-sources --source-path=SCRIPTDIR/..:SCRIPTDIR "${files[@]}" &&
    "$BIN/shfmt" --diff --indent 2 "${files[@]}"
}

types() {
  # tests/ is a root of imports too, as for pytest; tests/e2e has stand-ins that import each other as scripts do.
  MYPYPATH=tests mypy --no-error-summary --explicit-package-bases --exclude '^tests/e2e/' \
    pcb_aoi training boards deploy docs tests &&
    # deploy/ runs before anything is installed, on the Python that a machine has.
    mypy --no-error-summary --python-version 3.10 deploy
}

# Tests leave the installed packages of the developer's machine alone, but may use its cache of them.
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pip}"
started=$SECONDS
extras=(--extra test)
"$TRAIN" && extras+=(--extra train)
./deploy.sh install "${extras[@]}"
RESULTS+=("$(printf '%-14s %5d s  %s' install $((SECONDS - started)) "通过 ok")")
BIN="$ROOT/.venv/bin"
# Packages of the developer's own stay out, as everywhere in this project.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP
# bats, and what tests start by name, come from the environment.
export PATH="$BIN:$PATH" PCB_TEST_VENV="$ROOT/.venv"

step ruff ruff check .
step ruff-format ruff format --check .
step mypy types
step yamllint yamllint --strict .
step shell lint_shell
step bats bats tests/bats
# With PyTorch the same command runs its tests, too.
step pytest pytest -q --ignore=tests/{e2e,page,large,speed}
# Alone: what it compares must not run beside other tests.
[[ ! -d tests/speed ]] || step speed pytest -q -s tests/speed
if "$ALL"; then
  step large pytest -q -s tests/large
  step demo ./deploy.sh demo
  step page pytest -q tests/page
  printf '\nnuclio: %s\n' "${NUCLIO_BIN:-替身 stand-ins}"
  [[ ! -d tests/e2e ]] || step e2e pytest -q tests/e2e
fi

printf '\n'
printf '%s\n' "${RESULTS[@]}"
if ((${#FAILED[@]})); then
  printf '\n失败 / failed: %s\n' "${FAILED[*]}"
  exit 1
fi
printf '\n全部通过 / all passed\n'
