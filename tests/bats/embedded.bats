#!/usr/bin/env bats
# The embedded platform for real: processes, ports and HTTP, with a stub function.
bats_require_minimum_version 1.5.0

setup() {
  load helper
  make_checkout
  make_venv
  # No daemon: what containers see is Docker's default.
  fake docker 'exit 1'
  PORT="$(free_port)"
}

teardown() {
  if [[ -f "$CHECKOUT/.run/embedded.pid" ]]; then
    kill -KILL "$(cat "$CHECKOUT/.run/embedded.pid")" 2>/dev/null || true
  fi
}

@test "up, up again, status, down, down again" {
  deploy status
  exits 1
  says "./deploy.sh up --platform embedded"

  deploy up --platform embedded --port "$PORT"
  exits 0
  says "pcb-inner-layer  ready  inner-layer: 开路"
  says CVAT_SERVERLESS=1
  says CVAT_NUCLIO_HOST=127.0.0.1
  says "CVAT_NUCLIO_PORT=$PORT"
  says CVAT_NUCLIO_INVOKE_METHOD=dashboard
  pid="$(cat "$CHECKOUT/.run/embedded.pid")"

  deploy up --platform embedded --port "$PORT"
  exits 0
  says "already running (process $pid)"
  [[ "$(cat "$CHECKOUT/.run/embedded.pid")" == "$pid" ]]

  deploy up --platform embedded --port "$PORT" --function inner-layer
  exits 1
  says "Run ./deploy.sh down first"

  # Without the port: status knows what it started.
  deploy status
  exits 0
  says "running (process $pid"
  says "pcb-inner-layer  ready"

  deploy down --dry-run
  exits 0
  says "+ kill -TERM $pid"
  kill -0 "$pid"

  deploy down
  exits 0
  says stopped
  run ! kill -0 "$pid"
  deploy down
  exits 0
  says "nothing to stop"
}

@test "a function that cannot start is named, the others serve" {
  make_function broken 'raise RuntimeError("no weights")'
  deploy up --port "$PORT"
  exits 0
  says "pcb-inner-layer  ready"
  says 'broken: "RuntimeError: no weights"'
  [[ "$output" != *pcb-broken* ]]
}

@test "no function at all: fails with the cause, and leaves nothing behind" {
  make_function inner-layer 'raise RuntimeError("no weights")'
  deploy up --port "$PORT"
  exits 1
  says "no weights"
  says "./deploy.sh check"
  [[ ! -e "$CHECKOUT/.run/embedded.pid" ]]
}

@test "a port in use: says so" {
  deploy up --port "$PORT"
  exits 0
  cp -r "$CHECKOUT" "$BATS_TEST_TMPDIR/second"
  rm -rf "$BATS_TEST_TMPDIR/second/.run"
  run --separate-stderr "$BATS_TEST_TMPDIR/second/deploy.sh" up --port "$PORT"
  exits 1
  says "try another --port"
}

@test "a pid file of another process is not believed" {
  mkdir -p "$CHECKOUT/.run"
  echo "$$" >"$CHECKOUT/.run/embedded.pid"
  deploy down
  exits 0
  says "nothing to stop"
  kill -0 "$$"
  deploy status
  exits 1
}

@test "another host needs --allow, and its settings name the host CVAT sees" {
  deploy up --host 0.0.0.0 --port "$PORT"
  exits 1
  says "--allow CIDR"
  deploy up --host 0.0.0.0 --port "$PORT" --allow 172.16.0.0/12
  exits 0
  says CVAT_NUCLIO_HOST=host.docker.internal
  deploy status
  exits 0
  says "pcb-inner-layer  ready"
}

@test "Docker's own networks are offered, and Docker's default without a daemon" {
  deploy up --dry-run
  says "--host 172.17.0.1 --allow 172.16.0.0/12"
  # shellcheck disable=SC2016 # runs in the fake
  fake docker 'case "$*" in
"network ls --quiet --filter driver=bridge") echo aaa bbb ;;
"network inspect bridge --format {{(index .IPAM.Config 0).Gateway}}") echo 10.9.0.1 ;;
"network inspect aaa bbb --format {{range .IPAM.Config}}{{.Subnet}} {{end}}") printf "10.9.0.0/16 \n10.10.0.0/16 \n" ;;
*) echo "unknown command: docker $*" >&2; exit 125 ;;
esac'
  deploy up --dry-run
  exits 0
  says "./deploy.sh up --platform embedded --host 10.9.0.1 --allow 10.9.0.0/16 --allow 10.10.0.0/16"
  deploy up --dry-run --host 10.9.0.1 --allow 10.9.0.0/16
  says CVAT_NUCLIO_HOST=host.docker.internal
  deploy up --dry-run --host 192.168.5.5 --allow 192.168.0.0/16
  says CVAT_NUCLIO_HOST=192.168.5.5
}
