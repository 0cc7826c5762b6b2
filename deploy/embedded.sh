# shellcheck shell=bash
# The embedded platform in the background: one `pcb-aoi serve` with a pid file and a log in .run/.

EMBEDDED_PID="$STATE/embedded.pid"
EMBEDDED_LOG="$STATE/embedded.log"
EMBEDDED_OPTIONS="$STATE/embedded.options"
# Models load, and on a GPU warm up, before the first answer.
EMBEDDED_START_SECONDS=300
# serve itself lets calls under way finish for 30 seconds.
EMBEDDED_STOP_SECONDS=35

# Print the pid of our running server. A pid file may be older than the last reboot: look at what the process is.
embedded_pid() {
  local pid
  pid="$(cat "$EMBEDDED_PID" 2>/dev/null)" || return 1
  [[ "$pid" =~ ^[0-9]+$ && -r "/proc/$pid/cmdline" ]] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'pcb-aoi serve' || return 1
  printf '%s' "$pid"
}

platform_embedded_up() {
  local venv pid options name
  venv="$(venv_path)"
  options=(--host "$HOST" --port "$PORT")
  "$GPU" && options+=(--gpu)
  for name in "${FUNCTIONS[@]}"; do options+=(--function "$name"); done
  for name in "${ALLOW[@]}"; do options+=(--allow "$name"); done
  if pid="$(embedded_pid)"; then
    if [[ "$(cat "$EMBEDDED_OPTIONS" 2>/dev/null)" != "${options[*]}" ]]; then
      fatal "已用其他选项运行（进程 $pid）。先运行 ./deploy.sh down" \
        "already running with other options (process $pid). Run ./deploy.sh down first"
    fi
    embedded_language --check >/dev/null ||
      fatal "标签语言不同。先运行 ./deploy.sh down" "its labels are in the other language. Run ./deploy.sh down first"
    info "已经在运行（进程 $pid）" "already running (process $pid)"
  else
    ensure_venv "$(serve_extras)"
    embedded_language
    embedded_start "$venv/bin/pcb-aoi" serve "${options[@]}"
  fi
  "$DRY_RUN" || embedded_functions
  embedded_settings
}

# Write the labels in the language asked for into the function folders; none asked for leaves them as they are.
embedded_language() {
  [[ -z "$LANGUAGE_" ]] || run "$(venv_path)/bin/pcb-aoi" sync --language "$LANGUAGE_" "$@"
}

# Start the command given, and wait until it listens or ends.
embedded_start() {
  local pid waited=0
  if "$DRY_RUN"; then
    run "$@"
    return
  fi
  mkdir -p "$STATE"
  [[ ! -f "$EMBEDDED_LOG" ]] || mv -f "$EMBEDDED_LOG" "$EMBEDDED_LOG.1"
  nohup "$@" >/dev/null 2>"$EMBEDDED_LOG" </dev/null &
  pid=$!
  printf '%s\n' "$pid" >"$EMBEDDED_PID"
  shift 2
  printf '%s\n' "$*" >"$EMBEDDED_OPTIONS"
  info "正在加载模型（进程 $pid）" "loading the models (process $pid)"
  until grep -q '"message": "listening"' "$EMBEDDED_LOG"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      cat "$EMBEDDED_LOG" >&2
      rm -f "$EMBEDDED_PID"
      fatal "没有启动，原因见上。./deploy.sh check 检查函数目录" \
        "it did not start, see above. ./deploy.sh check looks at the function folders"
    fi
    if ((waited++ >= EMBEDDED_START_SECONDS * 5)); then
      embedded_stop "$pid"
      fatal "$EMBEDDED_START_SECONDS 秒内没有启动，日志：$EMBEDDED_LOG" \
        "not ready within $EMBEDDED_START_SECONDS s; its log: $EMBEDDED_LOG"
    fi
    sleep 0.2
  done
}

# List what CVAT would see, and what was left out and why.
embedded_functions() {
  local host="$HOST"
  [[ "$host" != 0.0.0.0 && "$host" != :: ]] || host=127.0.0.1
  [[ "$host" != *:* ]] || host="[$host]"
  "$(venv_path)/bin/python" -m pcb_aoi.commands.cvat_client "http://$host:$PORT"
  if grep -q '"message": "function left out"' "$EMBEDDED_LOG"; then
    warn "以下函数未提供，原因如下" "these functions are not served, and why"
    sed -n 's/.*"message": "function left out", "folder": "\([^"]*\)", "cause": \(.*\)}$/  \1: \2/p' "$EMBEDDED_LOG" >&2
  fi
}

# What to put into CVAT's environment (cvat_server and cvat_worker_annotation).
embedded_settings() {
  local host="$HOST" gateway=""
  ! command -v docker >/dev/null || gateway="$(docker_gateway)"
  [[ "$HOST" != "$gateway" && "$HOST" != 0.0.0.0 && "$HOST" != :: ]] || host=host.docker.internal
  info "把下面几行放进 CVAT 的 cvat_server 和 cvat_worker_annotation 的环境变量" \
    "put these lines into the environment of CVAT's cvat_server and cvat_worker_annotation"
  printf '%s\n' CVAT_SERVERLESS=1 "CVAT_NUCLIO_HOST=$host" "CVAT_NUCLIO_PORT=$PORT" \
    CVAT_NUCLIO_INVOKE_METHOD=dashboard
  if [[ -n "$gateway" && "$HOST" =~ ^(127\..*|localhost|::1)$ ]]; then
    info "CVAT 在 Docker 里时够不到 $HOST；请改用下面的命令，并设 CVAT_NUCLIO_HOST=host.docker.internal" \
      "a CVAT inside Docker cannot reach $HOST; start it as below, and set CVAT_NUCLIO_HOST=host.docker.internal"
    printf './deploy.sh up --platform embedded --host %s%s\n' "$gateway" "$(docker_allow)"
  fi
}

# The host's address as containers see it (host.docker.internal in CVAT's compose file).
docker_gateway() {
  local address
  address="$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}' 2>/dev/null)" || address=""
  printf '%s' "${address:-172.17.0.1}"
}

# `--allow` for each network that containers call from; Docker's default range where the daemon does not answer.
docker_allow() {
  local networks subnets
  if networks="$(docker network ls --quiet --filter driver=bridge 2>/dev/null)" && [[ -n "$networks" ]]; then
    # shellcheck disable=SC2086 # one word a network
    subnets="$(docker network inspect $networks --format '{{range .IPAM.Config}}{{.Subnet}} {{end}}')"
  fi
  # shellcheck disable=SC2086 # one word a subnet
  printf ' --allow %s' ${subnets:-172.16.0.0/12}
}

platform_embedded_status() {
  local pid
  if ! pid="$(embedded_pid)"; then
    info "没有运行。启动：./deploy.sh up --platform embedded" \
      "not running. Start it with ./deploy.sh up --platform embedded"
    return 1
  fi
  embedded_read_options
  info "正在运行（进程 $pid，日志 $EMBEDDED_LOG）" "running (process $pid, log $EMBEDDED_LOG)"
  embedded_functions
}

# Take host, port and device from what the running server was started with.
embedded_read_options() {
  local options
  read -r -a options <"$EMBEDDED_OPTIONS"
  HOST="${options[1]}"
  PORT="${options[3]}"
  [[ "${options[4]:-}" != --gpu ]] || GPU=true
}

platform_embedded_down() {
  local pid
  if ! pid="$(embedded_pid)"; then
    info "没有运行，无需停止" "not running, nothing to stop"
    run rm -f "$EMBEDDED_PID"
    return
  fi
  embedded_stop "$pid"
  "$DRY_RUN" || info "已停止；日志留在 $EMBEDDED_LOG" "stopped; the log stays at $EMBEDDED_LOG"
}

# Let calls under way finish; kill what does not.
embedded_stop() {
  local pid="$1" waited=0
  run kill -TERM "$pid"
  if ! "$DRY_RUN"; then
    while kill -0 "$pid" 2>/dev/null; do
      if ((waited++ >= EMBEDDED_STOP_SECONDS * 5)); then
        warn "$EMBEDDED_STOP_SECONDS 秒后仍在运行，强制结束" "still running after $EMBEDDED_STOP_SECONDS s, killing it"
        kill -KILL "$pid" 2>/dev/null || true
        break
      fi
      sleep 0.2
    done
  fi
  run rm -f "$EMBEDDED_PID"
}
