# shellcheck shell=bash
# nuclio on one machine's Docker engine: the functions as CVAT's compose file expects them.

# The fingerprint of what a function was made from: deploy/nuclio.py reads it back.
CONTENT_ANNOTATION=pcb-aoi.io/content
# Gigabytes of free disk that images need while they are built.
LOCAL_DISK_CPU=4
LOCAL_DISK_GPU=16

platform_local_up() {
  local line failed=0
  preflight_tools
  "$DRY_RUN" || ensure_check_venv
  # shellcheck disable=SC2034 # read by deploy/nuclio.sh
  STACK="$(stack)"
  make_plan
  "$DRY_RUN" || local_check
  for line in "${PLAN[@]}"; do local_port_free "$line"; done
  local_disk
  ensure_base "$(cut -f 5 <<<"${PLAN[0]}")"
  local_gpu "$(cut -f 5 <<<"${PLAN[0]}")"
  nuctl_ create project "$PROJECT" --platform local --namespace "$NAMESPACE"
  ROWS=()
  for line in "${PLAN[@]}"; do
    local_deploy "$line" || failed=1
  done
  "$DRY_RUN" && return
  local_table
  local_settings
  ((failed == 0)) || fatal "有函数没有部署成功，见上表；其余的照常服务" "some functions failed, see the table; the others serve"
}

# `check` runs on the CPU, whatever the functions will run on.
ensure_check_venv() {
  local GPU=false
  ensure_venv serve,cpu
}

# One bad folder can hide every model from CVAT: nothing is deployed before all that will be deployed are sound.
local_check() {
  local line options=()
  for line in "${PLAN[@]}"; do options+=(--function "${line%%$'\t'*}"); done
  "$ROOT/.venv/bin/pcb-aoi" check "${options[@]}" ||
    fatal "函数目录有问题，原因见上；没有改动任何东西" "a function folder is broken, see above; nothing has been changed"
}

# A port is free, or already ours.
local_port_free() {
  local name port
  name="$(cut -f 2 <<<"$1")"
  port="$(cut -f 3 <<<"$1")"
  docker port "nuclio-$NAMESPACE-$name" 8080/tcp 2>/dev/null | grep -q ":$port\$" && return
  tool port-free "$port" || fatal \
    "端口 $port 被其他程序占用（$name）：sudo ss -ltnp 'sport = :$port' 查看，停掉它，或改 function.yaml 里的 port" \
    "port $port is taken by another program ($name): see sudo ss -ltnp 'sport = :$port', stop it, or change port in function.yaml"
}

local_disk() {
  local folder free need="$LOCAL_DISK_CPU"
  "$GPU" && need="$LOCAL_DISK_GPU"
  folder="$(docker info --format '{{.DockerRootDir}}')"
  free="$(df --output=avail -BG "$folder" 2>/dev/null | tail -n 1 | tr -dc 0-9)" || return 0
  ((${free:-$need} >= need)) || fatal \
    "磁盘只剩 ${free} GB（$folder），需要 $need GB：docker system prune 可清理" \
    "only ${free} GB of disk left ($folder), $need GB needed: docker system prune frees some"
}

# A container must see the card before five functions are built for it.
local_gpu() {
  "$GPU" || return 0
  run docker run --rm --gpus all --entrypoint nvidia-smi "$1" --list-gpus || fatal \
    "容器里看不到 GPU：安装 nvidia-container-toolkit，再运行 sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker" \
    "containers do not see the GPU: install nvidia-container-toolkit, then sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
}

# Build and deploy one function.
local_deploy() {
  local folder name port image content file options
  IFS=$'\t' read -r folder name port image _ content file <<<"$1"
  options=(--path "$ROOT/functions/$folder" --file "$file")
  "$NO_PULL" && options+=(--no-pull)
  local_apply "$folder" "$name" "$port" "$image" "$content" "${options[@]}"
}

# local_apply FOLDER NAME PORT IMAGE CONTENT OPTION...: hand one function to nuctl unless it already runs with this
# very content; call it as CVAT does; add its row to the table.
local_apply() {
  local folder="$1" name="$2" port="$3" image="$4" content="$5" record log
  local options=("${@:6}" --project-name "$PROJECT" --platform local --namespace "$NAMESPACE"
    --annotations "$CONTENT_ANNOTATION=$content")
  [[ -z "${READINESS_TIMEOUT:-}" ]] || options+=(--readiness-timeout "$READINESS_TIMEOUT")
  if "$DRY_RUN"; then
    run nuctl deploy "$name" "${options[@]}"
    return
  fi
  record="$(nuctl_get "$name")"
  if [[ "$(tool stored content <<<"$record")" == "$content" && "$(local_settled "$name")" == healthy ]]; then
    info "$name 没有变化" "$name is unchanged"
    local_smoke "$folder" "$name" "$port" "$image" unchanged
    return
  fi
  keep_previous "$name"
  info "部署 $name" "deploying $name"
  mkdir -p "$NUCLIO_STATE"
  log="$NUCLIO_STATE/$name.log"
  if ! nuctl_ deploy "$name" "${options[@]}" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    local_remedy "$log" "$name"
    ROWS+=("$name	failed	$port	$image	-	-	$log")
    return 1
  fi
  local_smoke "$folder" "$name" "$port" "$image" deployed
}

# Say what helps against the failures that people really meet.
local_remedy() {
  local log="$1" name="$2"
  if grep -q 'address already in use\|port is already allocated' "$log"; then
    warn "端口被占用" "the port is taken: sudo ss -ltnp"
  elif grep -q 'handler-builder-python-onbuild\|uhttpc\|iguazio/alpine' "$log" && grep -q 'pull\|not found\|manifest' "$log"; then
    warn "取不到 nuclio 的辅助镜像：联网机器上 ./deploy.sh bundle，现场 ./deploy.sh up --bundle；镜像已在本机时用 --no-pull" \
      "nuclio's helper images cannot be pulled: make a bundle where there is a network (./deploy.sh bundle) and install it here (up --bundle); with the images present use --no-pull"
  elif grep -q 'No matching distribution found for\|from versions: none' "$log"; then
    warn "spec.runtime 的 Python 与基础镜像不同" "spec.runtime is not the Python of the base image"
  fi
  [[ ! -f "$NUCLIO_STATE/local-$name.json" ]] || warn \
    "旧版本已停止；恢复它：./deploy.sh rollback --platform local --function ${name#pcb-}" \
    "the old version has stopped; bring it back with ./deploy.sh rollback --platform local --function ${name#pcb-}"
}

# Call the port as CVAT does, with a sample whose defects are known.
local_smoke() {
  local folder="$1" name="$2" port="$3" image="$4" how="$5" verdict provider ms remark
  IFS=$'\t' read -r verdict provider _ ms remark \
    <<<"$(tool smoke "http://127.0.0.1:$port/" "${SAMPLES:-$ROOT/samples}/$folder" || true)"
  [[ "$verdict" == ok ]] && verdict="$how"
  ROWS+=("$name	$verdict	$port	$image	$provider	$ms	$remark")
  [[ "$verdict" != failed ]]
}

# Docker's own word on a function's container.
local_health() {
  local health
  # Only the word: for a container that is not there docker prints an empty line as well.
  health="$(docker container inspect --format \
    '{{if and .State.Running .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' \
    "nuclio-$NAMESPACE-$1" 2>/dev/null)" || health=missing
  printf '%s' "$health"
}

# The same, once it is a verdict: a container that has just come up, as after a reboot, is on trial for some seconds,
# and no reason to deploy again.
local_settled() {
  local health left="${READINESS_TIMEOUT:-120}"
  health="$(local_health "$1")"
  while [[ "$health" == starting ]] && ((left-- > 0)); do
    sleep 1
    health="$(local_health "$1")"
  done
  printf '%s' "$health"
}

local_table() {
  printf '%s\n' "${ROWS[@]}" | {
    printf 'function\tstate\tport\timage\tprovider\tms\tremark\n'
    cat
  } | column -t -s $'\t' 2>/dev/null || printf '%s\n' "${ROWS[@]}"
}

local_settings() {
  info "CVAT 用 docker compose 部署时：-f components/serverless/docker-compose.serverless.yml，不需要其他设置；否则在 cvat_server 和 cvat_worker_annotation 里设置：" \
    "CVAT from docker compose needs -f components/serverless/docker-compose.serverless.yml and no more; otherwise set in cvat_server and cvat_worker_annotation:"
  printf '%s\n' CVAT_SERVERLESS=1 CVAT_NUCLIO_HOST=nuclio CVAT_NUCLIO_INVOKE_METHOD=direct
}

# Ask nuclio and the port, say what CVAT would see, and what to do about it.
platform_local_status() {
  local line bad=0
  preflight_tools
  make_plan
  ROWS=()
  for line in "${PLAN[@]}"; do local_status_of "$line" || bad=1; done
  local_table
  return "$bad"
}

local_status_of() {
  local folder name port record state health cure="-" verdict provider ms remark
  IFS=$'\t' read -r folder name port _ <<<"$1"
  record="$(nuctl_get "$name")"
  state="$(tool stored state <<<"$record")"
  health="$(local_health "$name")"
  IFS=$'\t' read -r verdict provider _ ms remark \
    <<<"$(tool smoke "http://127.0.0.1:$port/" "${SAMPLES:-$ROOT/samples}/$folder" || true)"
  if [[ -z "$state" ]]; then
    cure="nuclio 不知道它，CVAT 看不到 / unknown to nuclio, CVAT does not list it: ./deploy.sh up --platform local --function $folder"
  elif [[ "$(tool stored project <<<"$record")" != "$PROJECT" ]]; then
    cure="不在项目 cvat 里，CVAT 看不到 / not in project cvat, CVAT does not list it: nuctl delete function $name; up"
  elif [[ "$health" == missing ]]; then
    cure="容器没有了，CVAT 仍列出它，调用会失败 / its container is gone, CVAT still lists it and calls fail: up --function $folder"
  elif [[ "$health" != healthy && "$health" != starting && "$health" != unhealthy ]]; then
    cure="容器没有在运行（$health） / its container is not running ($health): docker logs nuclio-$NAMESPACE-$name; docker start nuclio-$NAMESPACE-$name"
  elif [[ "$verdict" != ok ]]; then
    cure="不能正常回答 / does not answer as it should ($remark): docker logs nuclio-$NAMESPACE-$name"
  fi
  ROWS+=("$name	${state:-absent}/$health	$port	$(tool stored image <<<"$record")	${provider:--}	${ms:--}	$cure")
  [[ "$cure" == - ]]
}

platform_local_down() {
  local line name
  preflight_tools
  while IFS= read -r line; do
    name="pcb-$line"
    if [[ -n "$(nuctl_get "$name")" ]] || docker container inspect "nuclio-$NAMESPACE-$name" >/dev/null 2>&1; then
      nuctl_ delete function "$name" --platform local --namespace "$NAMESPACE"
    fi
  done < <(folders)
  info "函数已删除；镜像留着，docker image rm 可删" "functions are gone; their images stay, docker image rm removes them"
}
