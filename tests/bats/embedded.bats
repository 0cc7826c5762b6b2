#!/usr/bin/env bats
# The embedded platform for real: processes, ports and HTTP, with a stub function.
bats_require_minimum_version 1.5.0

setup() {
  load helper
  make_checkout
  make_venv
  # No daemon: nothing is known of what containers see.
  fake docker 'exit 1'
  PORT="$(free_port)"
}

teardown() {
  local record
  for record in "$BATS_TEST_TMPDIR"/*/.run/embedded.json; do
    [[ ! -f "$record" ]] || kill -KILL "$(field pid "$record")" 2>/dev/null || true
  done
}

# field NAME [FILE]: what the server's record says.
field() {
  "$VENV/bin/python" -c 'import json, sys; print(json.load(open(sys.argv[2]))[sys.argv[1]])' \
    "$1" "${2:-$CHECKOUT/.run/embedded.json}"
}

# gone PID: it has ended. Its parent may not have looked yet.
gone() {
  [[ ! -e "/proc/$1" || "$(cat "/proc/$1/stat")" == *") Z "* ]]
}

# http PATH [--data]: GET from the server, or POST an empty call to the stub function. Nothing but Python is needed: a
# machine may have no curl.
http() {
  "$VENV/bin/python" -c 'import sys, urllib.request as web
request = web.Request(sys.argv[1], b"" if sys.argv[2:] else None, {"x-nuclio-function-name": "pcb-inner-layer"})
print(web.urlopen(request, timeout=60).read().decode(), end="")' "http://127.0.0.1:$PORT/$1" "${@:2}"
}

# ask: post an empty call to the stub function, and print its answer.
ask() {
  http api/function_invocations --data
}

@test "up, up again, status, down, down again" {
  deploy status
  exits 1
  says "./deploy.sh up --platform embedded"

  deploy up --platform embedded --port "$PORT"
  exits 0
  says "pcb-inner-layer  ready"
  says CVAT_SERVERLESS=1
  says CVAT_NUCLIO_HOST=127.0.0.1
  says "CVAT_NUCLIO_PORT=$PORT"
  says CVAT_NUCLIO_INVOKE_METHOD=dashboard
  pid="$(field pid)"

  deploy up --platform embedded
  exits 0
  says "already running as on disk (process $pid)"
  [[ "$(field pid)" == "$pid" ]]

  # Without the port: status knows what runs.
  deploy status
  exits 0
  says "running (process $pid"
  says "pcb-inner-layer  ready"
  says ".run/embedded.log"

  deploy down --dry-run
  exits 0
  says "+ kill -TERM $pid"
  kill -0 "$pid"

  deploy down
  exits 0
  says stopped
  gone "$pid"
  deploy down
  exits 0
  says "nothing to stop"
}

@test "what has changed on disk is swapped in, and the others stay" {
  make_function other 'def handler(context, event):
    return "[]"'
  deploy up --port "$PORT" --function inner-layer
  exits 0
  [[ "$(ask)" == "[]" ]]
  [[ "$output" != *pcb-other* ]]
  pid="$(field pid)"

  make_function inner-layer 'def handler(context, event):
    return "[2]"'
  deploy status
  exits 0
  says "changed on disk: inner-layer"
  [[ "$(ask)" == "[]" ]]

  deploy up --dry-run
  exits 0
  says "changed: function inner-layer"
  says "+ $(printf %q "$CHECKOUT")/.venv/bin/pcb-aoi serve --host 127.0.0.1 --port $PORT"
  [[ "$(field pid)" == "$pid" ]]

  deploy up --function other
  exits 0
  says "changed: function inner-layer"
  says "changed: functions: other"
  says "pcb-inner-layer  ready"
  says "pcb-other"
  [[ "$(ask)" == "[2]" ]]
  [[ "$(field pid)" != "$pid" ]]
  gone "$pid"
  [[ "$(field port)" == "$PORT" ]]

  PCB_AOI_THRESHOLD=0.4 deploy up
  exits 0
  says "changed: PCB_AOI_THRESHOLD: - -> 0.4"
  says "changed: functions: all"
}

@test "what cannot serve changes nothing" {
  deploy up --port "$PORT"
  exits 0
  pid="$(field pid)"
  make_function inner-layer 'raise RuntimeError("no weights")'
  deploy up
  exits 1
  says "no weights"
  says "The old process $pid goes on"
  [[ "$(field pid)" == "$pid" ]]
  [[ "$(ask)" == "[]" ]]
  # The cause is gone: the next one takes over.
  make_function inner-layer 'def handler(context, event):
    return "[3]"'
  deploy up
  exits 0
  [[ "$(ask)" == "[3]" ]]
}

@test "host and port cannot be changed while it runs" {
  deploy up --port "$PORT"
  exits 0
  deploy up --port "$(free_port)"
  exits 1
  says "--port cannot be changed while it runs"
  says "./deploy.sh down"
  deploy up --host ::1
  exits 1
  says "--host cannot be changed while it runs"
}

@test "a function that cannot start is named, the others serve, status is 1" {
  make_function broken 'raise RuntimeError("no weights")'
  deploy up --port "$PORT"
  exits 1
  says "pcb-inner-layer  ready"
  says "not served: broken: RuntimeError: no weights"
  [[ "$output" != *pcb-broken* ]]
  deploy status
  exits 1
  says "not served: broken"
  make_function broken 'def handler(context, event):
    return "[]"'
  deploy up
  exits 0
  says "trying broken again"
  says pcb-broken
}

@test "status names the last failures with their cure" {
  make_function inner-layer 'def handler(context, event):
    return context.Response(body="{\"code\": \"too_large\", \"message\": \"the image is huge\"}", status_code=413)'
  deploy up --port "$PORT"
  run ask
  deploy status
  exits 0
  says "pcb-inner-layer  413 too_large: the image is huge"
  says "PCB_AOI_MAX_*"
}

@test "no function at all: fails with the cause, and leaves nothing behind" {
  make_function inner-layer 'raise RuntimeError("no weights")'
  deploy up --port "$PORT"
  exits 1
  says "no weights"
  says "./deploy.sh check"
  [[ ! -e "$CHECKOUT/.run/embedded.json" ]]
}

@test "a port in use: says so, and who holds it" {
  deploy up --port "$PORT"
  exits 0
  pid="$(field pid)"
  cp -r "$CHECKOUT" "$BATS_TEST_TMPDIR/second"
  CHECKOUT="$BATS_TEST_TMPDIR/second" make_venv
  run --separate-stderr "$BATS_TEST_TMPDIR/second/deploy.sh" up --port "$PORT"
  exits 1
  says "try another --port"
  says "port $PORT is held by process $pid"
  kill -0 "$pid"
}

@test "a copied checkout leaves the server of the first alone" {
  deploy up --port "$PORT"
  exits 0
  pid="$(field pid)"
  cp -r "$CHECKOUT" "$BATS_TEST_TMPDIR/copy"
  run --separate-stderr "$BATS_TEST_TMPDIR/copy/deploy.sh" status
  exits 1
  says "not running"
  run --separate-stderr "$BATS_TEST_TMPDIR/copy/deploy.sh" down
  exits 0
  says "nothing to stop"
  kill -0 "$pid"
  # A server of its own, beside the first.
  CHECKOUT="$BATS_TEST_TMPDIR/copy" make_venv
  run --separate-stderr "$BATS_TEST_TMPDIR/copy/deploy.sh" up --port "$(free_port)"
  exits 0
  [[ "$(field pid "$BATS_TEST_TMPDIR/copy/.run/embedded.json")" != "$pid" ]]
  kill -0 "$pid"
  deploy status
  exits 0
}

@test "a checkout that was moved still knows its server" {
  deploy up --port "$PORT"
  exits 0
  mv "$CHECKOUT" "$BATS_TEST_TMPDIR/moved"
  run --separate-stderr "$BATS_TEST_TMPDIR/moved/deploy.sh" down
  exits 0
  says stopped
}

@test "a stale record whose number belongs to another process is not believed" {
  deploy up --port "$PORT"
  exits 0
  # The same words on its command line, in the same folder; only the start time and the executable tell.
  (cd "$CHECKOUT" && exec -a "pcb-aoi serve" sleep 300) &
  other=$!
  sed -i "s/\"pid\": [0-9]*/\"pid\": $other/" "$CHECKOUT/.run/embedded.json"
  deploy down
  exits 0
  says "nothing to stop"
  kill -0 "$other"
  kill "$other"
  echo '{"pid": ' >"$CHECKOUT/.run/embedded.json"
  deploy status
  exits 1
  says "not running"
  kill "$(http api/status | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')"
}

@test "two up at once: one server" {
  deploy up --dry-run # the environment is there
  "$CHECKOUT/deploy.sh" up --port "$PORT" >"$BATS_TEST_TMPDIR/first" 2>&1 &
  first=$!
  deploy up --port "$PORT"
  exits 0
  wait "$first"
  [[ "$(cat "$BATS_TEST_TMPDIR/first")$output" == *"already running as on disk"* ]]
  deploy down
  exits 0
  run ! ask
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
  # Host and clients stay as they are when nothing else is asked for.
  deploy up
  exits 0
  says "already running as on disk"
}

@test "an address that this machine does not have: says which it has" {
  deploy up --host 192.0.2.7 --port "$PORT" --allow 192.0.2.0/24
  exits 1
  says "this machine has no such address"
  says "ip -brief address"
}

@test "IPv6 is written so that it can be pasted" {
  deploy up --dry-run --host fd00::7 --allow fd00::/8
  exits 0
  says "CVAT_NUCLIO_HOST=[fd00::7]"
  "$VENV/bin/python" -c 'import socket; socket.create_server(("::1", 0), family=socket.AF_INET6)' 2>/dev/null ||
    skip "no IPv6 here"
  deploy up --host '[::1]' --port "$PORT"
  exits 0
  says "CVAT_NUCLIO_HOST=[::1]"
  deploy status
  exits 0
}

@test "Docker's own networks are offered, where the address exists" {
  deploy up --dry-run
  exits 0
  says "start Docker"
  [[ "$output" != *172.17.0.1* ]]
  # shellcheck disable=SC2016 # runs in the fake
  fake docker 'case "$*" in
"network ls --quiet --filter driver=bridge") echo aaa bbb ;;
"network inspect bridge --format {{(index .IPAM.Config 0).Gateway}}") echo "${GATEWAY:-127.0.0.9}" ;;
"network inspect aaa bbb --format {{range .IPAM.Config}}{{.Subnet}} {{end}}") printf "10.9.0.0/16 \n10.10.0.0/16 \n" ;;
*) echo "unknown command: docker $*" >&2; exit 125 ;;
esac'
  deploy up --dry-run
  exits 0
  says "./deploy.sh up --platform embedded --host 127.0.0.9 --allow 10.9.0.0/16 --allow 10.10.0.0/16"
  GATEWAY=10.9.0.1 deploy up --dry-run
  exits 0
  [[ "$output" != *10.9.0.1* ]]
  deploy up --dry-run --host 127.0.0.9
  says CVAT_NUCLIO_HOST=host.docker.internal
  deploy up --dry-run --host 192.168.5.5 --allow 192.168.0.0/16
  says CVAT_NUCLIO_HOST=192.168.5.5
}
