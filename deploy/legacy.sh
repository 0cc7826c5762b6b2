#!/usr/bin/env bash
# What is not yet Python: called by deploy/__main__.py for a platform that has no module there.
#
# Parts live in deploy/*.sh and are sourced below. They see these globals, set from the options:
#   ROOT STATE                        this checkout, and the folder for run-time state in it
#   COMMAND PLATFORM GPU DRY_RUN      GPU, DRY_RUN, NO_PULL and WITH_DASHBOARD are `true` or `false`
#   FUNCTIONS ALLOW                   arrays; no FUNCTIONS means all of them
#   LANGUAGE_ HOST PORT               LANGUAGE_ is empty, `zh` or `en`
#   REGISTRY BUNDLE OUTPUT NO_PULL WITH_DASHBOARD   for the nuclio platforms and bundles
# and use `info`, `warn`, `fatal` and `run` of deploy/common.sh for every message and every change.
# shellcheck disable=SC2034 # shellcheck does not follow the loop that sources the parts
set -euo pipefail

ROOT="$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
STATE="$ROOT/.run"
PLATFORMS=(embedded local kube)

COMMAND=""
PLATFORM=embedded
GPU=false
DRY_RUN=false
FUNCTIONS=()
ALLOW=()
LANGUAGE_=""
HOST=127.0.0.1
PORT=8070
REGISTRY=""
BUNDLE=""
OUTPUT=""
NO_PULL=false
WITH_DASHBOARD=false

for part in "$ROOT"/deploy/{bundle,common,embedded,kube,local,nuclio,python,rollback}.sh; do
  [[ -f "$part" ]] || continue
  # shellcheck source=/dev/null
  source "$part"
done
unset part

usage() {
  cat <<'EOF'
用法 / Usage: ./deploy.sh COMMAND [OPTIONS]

命令 / Commands
  demo      用示例板图走一遍 CVAT 的调用，结果写入 out/index.html
            annotate the sample boards through the call CVAT makes; writes out/index.html
  up        启动函数，并打印 CVAT 的设置 / start the functions and print the settings for CVAT
  status    CVAT 现在能看到什么 / what CVAT would see now
  down      停止 / stop
  check     部署前检查函数目录 / check the function folders before deploying
  bundle    为不能联网的现场打包 / pack everything an air-gapped site needs
  rollback  回到上一个模型版本 / go back to the previous model version

选项 / Options
  --platform NAME   embedded（默认，一个进程，不需要 Docker）、local（nuclio + Docker）、kube（Kubernetes）
                    embedded (default: one process, no Docker), local (nuclio on Docker), kube (Kubernetes)
  --function NAME   只处理这个函数，可重复 / only this function; may be repeated
  --gpu             使用 GPU / use the GPU
  --language zh|en  CVAT 中的标签语言 / language of the labels in CVAT
  --host ADDRESS    embedded 的监听地址（默认 127.0.0.1） / address to listen on
  --port NUMBER     embedded 的端口（默认 8070） / port to listen on
  --allow CIDR      --host 不是本机时，允许的客户端，可重复 / clients allowed when --host is not loopback
  --registry NAME   kube 的镜像仓库 / image registry for kube
  --bundle FILE     up：从离线包安装 / up: install from a bundle
  --output FILE     bundle：写到哪里 / bundle: where to write it
  --with-dashboard  bundle：加入 nuclio 的 dashboard 镜像 / bundle: include nuclio's dashboard image
  --no-pull         不拉取镜像 / do not pull images
  --dry-run         只打印要执行的命令 / print the commands, run none
  --help            显示本页 / show this page
EOF
}

# Options that cannot be understood end here: nothing has been changed.
usage_error() {
  printf '错误 / error: %s\n运行 ./deploy.sh --help 查看用法 / see ./deploy.sh --help\n' "$1" >&2
  exit 2
}

parse() {
  if [[ $# -eq 0 ]]; then
    usage >&2
    exit 2
  fi
  while [[ $# -gt 0 ]]; do
    case "$1" in
    --platform | --function | --language | --host | --port | --allow | --registry | --bundle | --output)
      [[ $# -ge 2 && -n "$2" && "$2" != --* ]] || usage_error "$1 缺少值 / $1 needs a value"
      ;;
    esac
    case "$1" in
    --help)
      usage
      exit 0
      ;;
    --dry-run) DRY_RUN=true ;;
    --gpu) GPU=true ;;
    --no-pull) NO_PULL=true ;;
    --with-dashboard) WITH_DASHBOARD=true ;;
    --platform) PLATFORM="$2" && shift ;;
    --function) FUNCTIONS+=("$2") && shift ;;
    --language) LANGUAGE_="$2" && shift ;;
    --host) HOST="$2" && shift ;;
    --port) PORT="$2" && shift ;;
    --allow) ALLOW+=("$2") && shift ;;
    --registry) REGISTRY="$2" && shift ;;
    --bundle) BUNDLE="$2" && shift ;;
    --output) OUTPUT="$2" && shift ;;
    -*) usage_error "未知选项 / unknown option: $1" ;;
    *)
      [[ -z "$COMMAND" ]] || usage_error "多余的参数 / unexpected argument: $1"
      COMMAND="$1"
      ;;
    esac
    shift
  done
  [[ -n "$COMMAND" ]] || usage_error "缺少命令 / a command is missing"
  [[ " ${PLATFORMS[*]} " == *" $PLATFORM "* ]] ||
    usage_error "--platform 只能是 / must be one of: ${PLATFORMS[*]}; $PLATFORM"
  [[ "$LANGUAGE_" =~ ^(|zh|en)$ ]] || usage_error "--language 只能是 / must be zh or en; $LANGUAGE_"
  [[ "$PORT" =~ ^[0-9]{1,5}$ && "$PORT" -ge 1 && "$PORT" -le 65535 ]] ||
    usage_error "--port 只能是 / must be 1..65535; $PORT"
  local name
  for name in "${FUNCTIONS[@]}"; do
    [[ "$name" != */* && -f "$ROOT/functions/$name/function.yaml" ]] ||
      usage_error "没有这个函数 / no such function: $name (functions/*/)"
  done
}

# Call a part by name: not every platform ships with every release.
part() {
  declare -F "$1" >/dev/null ||
    fatal "这个版本还没有此功能（$1）；可用 --platform embedded" "not in this release ($1); use --platform embedded"
  "$1"
}

main() {
  parse "$@"
  cd -- "$ROOT"
  case "$COMMAND" in
  demo) demo ;;
  check) check ;;
  up)
    if [[ -n "$BUNDLE" ]]; then
      part bundle_install
    else
      part "platform_${PLATFORM}_up"
    fi
    ;;
  status | down) part "platform_${PLATFORM}_$COMMAND" ;;
  bundle) part bundle_create ;;
  rollback) part rollback ;;
  *) usage_error "未知命令 / unknown command: $COMMAND" ;;
  esac
}

main "$@"
