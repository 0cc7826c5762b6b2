# shellcheck shell=bash
# The virtual environment in this checkout, and the commands that need nothing but it.

# Print the first Python that can make a virtual environment; python3 first, as python3-venv belongs to it.
find_python() {
  local candidate old=false
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    command -v "$candidate" >/dev/null || continue
    if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      continue
    elif "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
    old=true
  done
  if "$old"; then
    fatal "Python 缺少 venv 模块，请安装后重试：sudo apt-get install python3-venv" \
      "Python lacks its venv module; install it and try again: sudo apt-get install python3-venv"
  fi
  fatal "需要 Python 3.11 或更新版本（Debian 12、Ubuntu 24.04 自带）：sudo apt-get install python3 python3-venv；或设置 PYTHON=路径" \
    "Python 3.11 or newer is needed (Debian 12 and Ubuntu 24.04 have it): sudo apt-get install python3 python3-venv; or set PYTHON=path"
}

# Name the environment. One for each onnxruntime: the CPU and the GPU package overwrite each other's files.
venv_path() {
  if "$GPU"; then
    printf '%s' "$ROOT/.venv-gpu"
  else
    printf '%s' "$ROOT/.venv"
  fi
}

# Make the environment, and install this project into it with the extras named. Does nothing when that is done.
ensure_venv() {
  local venv extras="$1" python stamp wanted options=(--quiet --disable-pip-version-check)
  venv="$(venv_path)"
  stamp="$venv/installed-${extras//,/-}"
  wanted="$(cksum <"$ROOT/pyproject.toml")"
  if [[ ! -x "$venv/bin/pip" ]]; then
    python="$(find_python)"
    info "创建虚拟环境" "making the virtual environment: $venv"
    run "$python" -m venv --clear "$venv"
  fi
  if [[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]]; then
    info "安装 Python 包（第一次约一分钟）" "installing Python packages (about a minute the first time)"
    # Nothing is written outside the checkout: a cache is used only where the user names one.
    [[ -n "${PIP_CACHE_DIR:-}" ]] || options+=(--no-cache-dir)
    if ! run "$venv/bin/python" -m pip install "${options[@]}" --editable ".[$extras]"; then
      fatal "安装失败，原因见上。没有外网时请设置镜像 PIP_INDEX_URL 后重试" \
        "installation failed, see above. Without internet access set PIP_INDEX_URL to a mirror and try again"
    fi
    "$DRY_RUN" || printf '%s\n' "$wanted" >"$stamp"
  fi
}

# The extras that the embedded platform needs on this device.
serve_extras() {
  if "$GPU"; then
    printf 'serve,gpu'
  else
    printf 'serve,cpu'
  fi
}

# Print `--function NAME` for each function named, one word a line.
function_options() {
  local name
  for name in "${FUNCTIONS[@]}"; do
    printf '%s\n' --function "$name"
  done
}

demo() {
  local options
  ensure_venv "$(serve_extras)"
  mapfile -t options < <(function_options)
  "$GPU" && options+=(--gpu)
  run "$(venv_path)/bin/pcb-aoi" demo "${options[@]}"
}

check() {
  local options
  ensure_venv "$(serve_extras)"
  mapfile -t options < <(function_options)
  run "$(venv_path)/bin/pcb-aoi" check "${options[@]}"
}
