# shellcheck shell=bash
# What the local and the kube platform share: the preflight, the base image, and reading nuclio's answers.
#
# Environment, beside the options of deploy.sh:
#   PYTHON_IMAGE                        what functions/Dockerfile starts from (default python:3.11-slim-bookworm)
#   PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT   package mirror and CA file, as pip calls them
#   HTTP_PROXY HTTPS_PROXY NO_PROXY     for the image build only; they are not baked into images
#   NUCTL_NAMESPACE                     where CVAT looks for functions (default nuclio)
#   CUDA_STACK                          cuda12 or cuda13, in place of what this machine's driver says: for a bundle or
#                                       a cluster whose GPUs cannot be seen from here
#   READINESS_TIMEOUT                   seconds a function may take to load, in place of function.yaml's

NAMESPACE="${NUCTL_NAMESPACE:-nuclio}"
# shellcheck disable=SC2034 # read by the other parts
PROJECT=cvat
BASE_LABEL=io.pcb-aoi.content
NUCLIO_STATE="$STATE/nuclio"
# Oldest and newest nuclio this release was made for.
NUCLIO_OLDEST=1.13.0

# Run deploy/nuclio.py: with the project's environment where there is one, else with the system's Python.
tool() {
  local python="$ROOT/.venv/bin/python"
  [[ -x "$python" ]] || python="$(command -v python3)" ||
    fatal "需要 python3：sudo apt-get install python3" "python3 is needed: sudo apt-get install python3"
  "$python" "$ROOT/deploy/nuclio.py" "$@"
}

# nuctl leaves temporary files in its working directory, and picks up ./function.yaml there: give it an empty one.
nuctl_() {
  local folder status=0
  if "$DRY_RUN"; then
    run nuctl "$@"
    return
  fi
  folder="$(mktemp -d)"
  # Loops around this read their lines from standard input.
  (cd "$folder" && nuctl "$@" </dev/null) || status=$?
  rm -rf "$folder"
  return "$status"
}

# nuctl_get NAME: print the function's record as JSON; nothing when nuclio does not know it.
nuctl_get() {
  (cd "${TMPDIR:-/tmp}" && nuctl get function "$1" --output json \
    --platform "$PLATFORM" --namespace "$NAMESPACE" </dev/null 2>/dev/null) || true
}

# The CUDA stack that the driver and the card can run, or cpu.
stack() {
  local driver capability
  "$GPU" || {
    printf cpu
    return
  }
  if [[ -n "${CUDA_STACK:-}" ]]; then
    [[ "$CUDA_STACK" =~ ^cuda1[23]$ ]] ||
      fatal "CUDA_STACK 只能是 cuda12 或 cuda13" "CUDA_STACK must be cuda12 or cuda13, not $CUDA_STACK"
    printf '%s' "$CUDA_STACK"
    return
  fi
  if ! driver="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)" ||
    [[ -z "$driver" ]]; then
    fatal "nvidia-smi 找不到 GPU：请安装 NVIDIA 驱动（580 或更新），或去掉 --gpu；为别的机器打包：设置 CUDA_STACK=cuda13（驱动 580 以上）或 cuda12" \
      "nvidia-smi finds no GPU: install NVIDIA's driver (580 or newer), or leave out --gpu; to pack for another machine set CUDA_STACK=cuda13 (driver 580 or newer) or cuda12"
  fi
  capability="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -n | head -n 1)"
  # CUDA 13 has no Pascal and Volta any more (compute capability under 7.5).
  if ((${driver%%.*} >= 580)) && [[ "$(printf '%s\n' 7.5 "${capability:-7.5}" | sort -V | head -n 1)" == 7.5 ]]; then
    printf cuda13
  elif ((${driver%%.*} >= 525)); then
    printf cuda12
  else
    fatal "NVIDIA 驱动 $driver 太旧：CUDA 12 需要 525，CUDA 13 需要 580。请升级驱动" \
      "NVIDIA driver $driver is too old: CUDA 12 needs 525, CUDA 13 needs 580. Upgrade the driver"
  fi
}

# Folders to work on: the ones named, or all of them.
folders() {
  if ((${#FUNCTIONS[@]})); then
    printf '%s\n' "${FUNCTIONS[@]}"
  else
    local file
    for file in "$ROOT"/functions/*/function.yaml; do basename "$(dirname "$file")"; done
  fi
}

# Fill PLAN with one line a function (deploy/nuclio.py plan); functions without weights are named and left out.
make_plan() {
  local line weights args=(--root "$ROOT" --stack "${STACK:-cpu}")
  "$GPU" && args+=(--gpu)
  PLAN=()
  # A machine that was installed from a bundle has no PyYAML, but the plan that came with it.
  if [[ -f "$NUCLIO_STATE/plan.tsv" && ! -x "$ROOT/.venv/bin/python" ]]; then
    mapfile -t PLAN <"$NUCLIO_STATE/plan.tsv"
    bundle_choose
    return
  fi
  mapfile -t names < <(folders)
  while IFS= read -r line; do
    weights="${line##*$'\t'}"
    if [[ "$weights" == yes ]]; then
      PLAN+=("${line%$'\t'*}")
    else
      warn "${line%%$'\t'*}：还没有权重（model.yaml 的 sha256 为 null），跳过" \
        "${line%%$'\t'*}: no weights yet (sha256 is null in model.yaml), left out"
    fi
  done < <(tool plan "${args[@]}" "${names[@]}")
  ((${#PLAN[@]})) || fatal "没有可部署的函数。./deploy.sh check 会说明原因" "nothing to deploy. ./deploy.sh check says why"
}

# Docker and nuctl are there, answer, and fit each other. Changes nothing.
preflight_tools() {
  command -v docker >/dev/null ||
    fatal "找不到 docker：sudo apt-get install docker.io" "docker is missing: sudo apt-get install docker.io"
  DOCKER_VERSION="$(docker version --format '{{.Server.Version}}' 2>/dev/null)" || DOCKER_VERSION=""
  [[ -n "$DOCKER_VERSION" ]] || fatal \
    "连不上 Docker：sudo systemctl start docker；当前用户需在 docker 组里：sudo usermod -aG docker \$USER，然后重新登录" \
    "no answer from Docker: sudo systemctl start docker; your user must be in its group: sudo usermod -aG docker \$USER, then log in again"
  command -v nuctl >/dev/null || fatal \
    "找不到 nuctl：从 https://github.com/nuclio/nuclio/releases 下载与 CVAT 的 nuclio dashboard 相同的版本，放进 PATH" \
    "nuctl is missing: take the version of CVAT's nuclio dashboard from https://github.com/nuclio/nuclio/releases and put it on PATH"
  NUCTL_VERSION="$(nuctl version 2>/dev/null | sed -n 's/.*Label: \([0-9][0-9.]*\).*/\1/p' | head -n 1)"
  [[ -n "$NUCTL_VERSION" ]] ||
    fatal "nuctl version 没有给出版本号" "nuctl version does not say which version it is"
  older "$NUCTL_VERSION" "$NUCLIO_OLDEST" &&
    fatal "nuctl $NUCTL_VERSION 太旧，需要 $NUCLIO_OLDEST 以上" "nuctl $NUCTL_VERSION is too old, $NUCLIO_OLDEST is the oldest that works"
  preflight_dashboard
}

# older A B: A is a lower version than B.
older() {
  [[ "$1" != "$2" && "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" == "$1" ]]
}

# nuctl and the dashboard write one store: they must be of one version. A dashboard elsewhere cannot be seen from here.
preflight_dashboard() {
  local image dashboard
  image="$(docker ps --format '{{.Image}}' | grep -E '(^|/)nuclio/dashboard:' | head -n 1)" || return 0
  dashboard="$(sed -E 's/.*:([0-9.]+).*/\1/' <<<"$image")"
  if [[ "$dashboard" != "$NUCTL_VERSION" ]]; then
    fatal "nuctl 是 $NUCTL_VERSION，而 dashboard 是 $dashboard（$image）。请换成 nuctl $dashboard：https://github.com/nuclio/nuclio/releases/tag/$dashboard" \
      "nuctl is $NUCTL_VERSION but the dashboard is $dashboard ($image). Use nuctl $dashboard: https://github.com/nuclio/nuclio/releases/tag/$dashboard"
  fi
  if ((${DOCKER_VERSION%%.*} >= 29)) && older "$dashboard" 1.15.0; then
    fatal "Docker $DOCKER_VERSION 拒绝 dashboard $dashboard 里的旧客户端。请把 nuclio（dashboard 和 nuctl）升级到 1.15.9 或更新，或使用 Docker 28" \
      "Docker $DOCKER_VERSION refuses the old client inside dashboard $dashboard. Upgrade nuclio (dashboard and nuctl) to 1.15.9 or newer, or use Docker 28"
  fi
}

# Build the base image, unless there is one of the same content. Needs a package index or a mirror.
ensure_base() {
  local base="$1" content context args variable
  content="$(tool base --root "$ROOT" --stack "$STACK")"
  if [[ "$(docker image inspect --format "{{index .Config.Labels \"$BASE_LABEL\"}}" "$base" 2>/dev/null)" == "$content" ]]; then
    info "基础镜像没有变化" "the base image is unchanged: $base"
    return
  fi
  info "构建基础镜像（第一次需要几分钟）" "building the base image (minutes the first time): $base, $STACK"
  args=(--file functions/Dockerfile --tag "$base" --label "$BASE_LABEL=$content" --build-arg "STACK=$STACK")
  # The default network of a build may not reach what the host reaches; nuclio's own builds use the host's, too.
  args+=(--network "${NUCLIO_DOCKER_BUILD_NETWORK:-host}")
  for variable in PYTHON_IMAGE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST \
    HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [[ -z "${!variable:-}" ]] || args+=(--build-arg "$variable=${!variable}")
  done
  [[ -z "${PIP_CERT:-}" ]] || args+=(--build-arg CA_FILE=ca.crt)
  if "$DRY_RUN"; then
    run docker build "${args[@]}" "$ROOT"
    return
  fi
  context="$(mktemp -d)"
  mkdir "$context/functions"
  cp -R "$ROOT/pcb_aoi" "$ROOT/pyproject.toml" "$ROOT/README.md" "$ROOT/LICENSE" "$context/"
  cp -R "$ROOT/functions/Dockerfile" "$ROOT/functions/requirements" "$context/functions/"
  [[ -z "${PIP_CERT:-}" ]] || cp "$PIP_CERT" "$context/ca.crt"
  if ! (cd "$context" && docker build --quiet "${args[@]}" .); then
    rm -rf "$context"
    fatal "基础镜像没有构建成功，原因见上。取不到镜像：设置 PYTHON_IMAGE；取不到 Python 包：设置 PIP_INDEX_URL；代理检查 TLS：设置 PIP_CERT" \
      "the base image was not built, see above. No python image: set PYTHON_IMAGE; no packages: set PIP_INDEX_URL; a proxy inspects TLS: set PIP_CERT"
  fi
  rm -rf "$context"
}

# The helper images that nuctl of this version asks for, in the order store, onbuild, uhttpc.
helper_images() {
  local onbuild="quay.io/nuclio/handler-builder-python-onbuild:$NUCTL_VERSION-amd64"
  if older "$NUCTL_VERSION" 1.13.16; then
    printf '%s\n' gcr.io/iguazio/alpine:3.17 "$onbuild" quay.io/nuclio/uhttpc:0.0.1-amd64
  elif older "$NUCTL_VERSION" 1.15.0; then
    printf '%s\n' gcr.io/iguazio/alpine:3.20 "$onbuild" quay.io/nuclio/uhttpc:0.0.1-amd64
  else
    printf '%s\n' gcr.io/iguazio/alpine:3.20 "$onbuild" gcr.io/iguazio/uhttpc:0.0.3-amd64
  fi
}
