#!/usr/bin/env bats
# Odd machines, odd checkouts: line endings, moved and copied folders, charsets, other Pythons, other users.
# shellcheck disable=SC2030,SC2031 # each test has a CHECKOUT of its own
bats_require_minimum_version 1.5.0

setup() {
  load helper
  make_checkout
}

# `check` with an environment in which the packages are installed, and pcb-aoi is a fake.
checked() {
  make_venv
  printf '#!/usr/bin/env bash\nenv >"%s/env"\necho "checked $*"\n' "$BATS_TEST_TMPDIR" >"$CHECKOUT/.venv/bin/pcb-aoi"
  deploy check
  exits 0
  says checked
}

@test "a clone with core.autocrlf=true" {
  command -v git || skip "git is not installed"
  cp "$REPOSITORY/.gitattributes" "$CHECKOUT"
  git -C "$CHECKOUT" -c init.defaultBranch=main init -q
  git -C "$CHECKOUT" add .
  git -C "$CHECKOUT" -c user.name=x -c user.email=x@example.com commit -qm x
  git -c core.autocrlf=true -c core.eol=crlf clone -q "$CHECKOUT" "$BATS_TEST_TMPDIR/clone"
  run ! grep -rlI $'\r' "$BATS_TEST_TMPDIR/clone" --exclude-dir=.git
  run "$BATS_TEST_TMPDIR/clone/deploy.sh" --help
  exits 0
}

@test "a checkout that was moved, or copied, makes an environment of its own" {
  checked
  deploy check --dry-run
  [[ "$output" != *"-m venv"* ]]
  cp -r "$CHECKOUT" "$BATS_TEST_TMPDIR/copy"
  run --separate-stderr "$BATS_TEST_TMPDIR/copy/deploy.sh" check --dry-run
  exits 0
  says "-m venv --clear $BATS_TEST_TMPDIR/copy/.venv"
  says "moved or copied"
  says "--editable"
  mv "$CHECKOUT" "$BATS_TEST_TMPDIR/moved"
  run --separate-stderr "$BATS_TEST_TMPDIR/moved/deploy.sh" check --dry-run
  says "-m venv --clear $BATS_TEST_TMPDIR/moved/.venv"
  run --separate-stderr "$BATS_TEST_TMPDIR/moved/deploy.sh" doctor
  exits 1
  says "Anew: ./deploy.sh install"
}

@test "a link to the checkout is the checkout" {
  checked
  ln -s "$CHECKOUT" "$BATS_TEST_TMPDIR/link"
  run --separate-stderr "$BATS_TEST_TMPDIR/link/deploy.sh" check --dry-run
  exits 0
  [[ "$output" != *"-m venv"* ]]
}

@test "an interpreter that went away, or became another" {
  checked
  sed -i 's/^version = .*/version = 3.9.1/' "$CHECKOUT/.venv/pyvenv.cfg"
  deploy check --dry-run
  says "made by Python 3.9.1"
  says "-m venv --clear"
  ln -sf /usr/bin/python3.99 "$CHECKOUT/.venv/bin/python"
  deploy check --dry-run
  says "interpreter has gone"
  says "-m venv --clear"
}

@test "every locale: it works, and English alone where Chinese cannot be printed" {
  checked
  for locale in en_US.ISO-8859-1 de_DE.ISO-8859-15@euro en_US.US-ASCII; do
    LC_ALL="$locale" deploy check --dry-run
    exits 0
    LC_ALL="$locale" deploy up --function 检测
    exits 2
    [[ "$stderr" == *"error: no such function: \\u68c0\\u6d4b"* ]]
    LC_ALL="$locale" deploy --help
    exits 0
    [[ "$output" != *[^[:ascii:]]* ]]
  done
  for locale in C POSIX C.UTF-8 zh_CN.UTF-8; do
    LC_ALL="$locale" deploy --help
    exits 0
    says "用法 / Usage"
  done
  run --separate-stderr env -u LC_ALL -u LC_CTYPE -u LANG "$CHECKOUT/deploy.sh" --help
  says "用法 / Usage"
  LC_ALL=zh_CN.GB18030 deploy --help
  [[ "$(iconv -f GB18030 -t UTF-8 <<<"$output")" == *"用法 / Usage"* ]]
}

@test "a checkout in a Chinese path with blanks" {
  CHECKOUT="$BATS_TEST_TMPDIR/电路板 检测 "
  mv "$BATS_TEST_TMPDIR/check out" "$CHECKOUT"
  for locale in C.UTF-8 C en_US.ISO-8859-1; do
    LC_ALL="$locale" checked
  done
}

@test "Python 3.10 first, 3.11 without venv: names its package" {
  fake_python 'exit 1'
  fake_interpreter python3 'case "$*" in *ensurepip*) ;; *"%d.%d"*) echo 3.10 ;; esac'
  fake_interpreter python3.11 'case "$*" in *ensurepip*) exit 1 ;; *"%d.%d"*) echo 3.11 ;; esac'
  deploy check
  exits 1
  says "sudo apt-get install python3.11-venv"
  deploy doctor
  exits 1
  says "sudo apt-get install python3.11-venv"
}

@test "links to deploy.sh, of another name and by another link" {
  ln -s "$CHECKOUT/deploy.sh" "$BATS_TEST_TMPDIR/x"
  mkdir "$BATS_TEST_TMPDIR/bin2"
  ln -s ../x "$BATS_TEST_TMPDIR/bin2/y"
  cd "$BATS_TEST_TMPDIR"
  for name in ./x bin2/y; do
    run --separate-stderr "$name" check --dry-run
    exits 0
    says "$(printf %q "$CHECKOUT")"
  done
  PATH="$BATS_TEST_TMPDIR/bin2:$PATH" run --separate-stderr y --help
  exits 0
}

@test "sh deploy.sh: says to use bash" {
  command -v dash || skip "sh is bash here"
  run --separate-stderr dash "$CHECKOUT/deploy.sh" status
  exits 2
  says "use bash"
  [[ "$stderr" != *"not found"* && "$stderr" != *"Syntax error"* ]]
}

@test "Python's variables, and modules in the user's folder, are not read" {
  mkdir "$BATS_TEST_TMPDIR/broken"
  for module in numpy dataclasses re ensurepip venv sitecustomize deploy; do
    echo 'raise RuntimeError("read")' >"$BATS_TEST_TMPDIR/broken/$module.py"
  done
  checked
  cd "$BATS_TEST_TMPDIR/broken"
  export PYTHONPATH="$BATS_TEST_TMPDIR/broken" PYTHONHOME=/nowhere PYTHONSTARTUP="$PWD/re.py" PYTHONWARNINGS=error
  deploy check
  exits 0
  says checked
  run ! grep -E '^PYTHON(PATH|HOME|STARTUP|WARNINGS)=' "$BATS_TEST_TMPDIR/env"
  rm -r "$CHECKOUT/.venv"
  deploy check --dry-run
  exits 0
  says "-m venv --clear"
  deploy doctor
  for name in PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS; do says "$name"; done
}

@test "pip's own settings stay out, the mirror stays in" {
  make_venv
  # shellcheck disable=SC2016 # for the environment's Python
  sed -i '2i [[ "$*" != *" install "* ]] || env >"$CALLS.env"' "$CHECKOUT/.venv/bin/python"
  printf '#!/usr/bin/env bash\n' >"$CHECKOUT/.venv/bin/pcb-aoi"
  export PIP_TARGET=/elsewhere PIP_USER=1 PIP_REQUIRE_VIRTUALENV=1 PIP_INDEX_URL=https://mirror.example/simple
  deploy check
  exits 0
  grep -qx 'PIP_INDEX_URL=https://mirror.example/simple' "$CALLS.env"
  run ! grep -E '^PIP_(TARGET|USER|REQUIRE_VIRTUALENV)=' "$CALLS.env"
  deploy doctor
  says "these settings of pip are not followed"
  says "PIP_REQUIRE_VIRTUALENV PIP_TARGET PIP_USER"
}

@test "a checkout of another user: whose it is, and what to do" {
  place="$(mktemp -d)"
  chmod 755 "$place"
  cp -r "$CHECKOUT" "$place/theirs"
  other=()
  if [[ "$(id -u)" -eq 0 ]]; then
    other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    # Pythons in root's home are for root alone.
    path=/usr/local/bin:/usr/bin:/bin
    PATH="$path" "${other[@]}" python3 -c 'import ensurepip' || skip "no Python that another user could run"
  else
    path="$PATH"
    chmod -R a-w "$place/theirs"
  fi
  for command in check demo up; do
    PATH="$path" run --separate-stderr "${other[@]}" "$place/theirs/deploy.sh" "$command"
    exits 1
    says "belongs to"
    says "make a clone of your own"
    [[ "$stderr" != *Traceback* ]]
  done
  PATH="$path" run --separate-stderr "${other[@]}" "$place/theirs/deploy.sh" doctor
  exits 1
  says "make a clone of your own"
  chmod -R u+w "$place"
  rm -r "$place"
}

@test "the second deploy.sh in a checkout waits for the first, and says for whom" {
  mkdir "$CHECKOUT/.run"
  printf 4711 >"$CHECKOUT/.run/lock"
  exec 8>>"$CHECKOUT/.run/lock"
  flock 8
  exec 9< <(
    exec 8>&- # the lock stays this test's alone
    exec "$CHECKOUT/deploy.sh" down
  )
  waiting=$!
  read -r -t 60 -u 9 line
  [[ "$line" == *"another deploy.sh (process 4711) is at work here"* ]]
  exec 8>&-
  output="$(cat <&9)"
  wait "$waiting"
  [[ "$output" == *"nothing to stop"* ]]
}

@test "a reader that has gone: no word" {
  run --separate-stderr bash -c "'$CHECKOUT/deploy.sh' --help | true; exit \${PIPESTATUS[0]}"
  [[ "$status" -eq 141 || "$status" -eq 0 ]]
  [[ -z "$stderr" ]]
}
