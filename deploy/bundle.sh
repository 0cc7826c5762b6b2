# shellcheck shell=bash
# One file for a site without a network: images for nuclio, or a wheelhouse for the embedded platform.
#
#   ./deploy.sh bundle --platform local [--gpu] [--with-dashboard] [--output FILE]
#   ./deploy.sh bundle --platform embedded [--gpu] [--output FILE]
#   ./deploy.sh up --bundle FILE                                    on site; the file knows its platform

bundle_create() {
  case "$PLATFORM" in
  local) bundle_create_local ;;
  embedded) bundle_create_embedded ;;
  *) fatal "离线包用于 --platform local 或 embedded；Kubernetes 请把镜像推到现场的仓库（--registry）" \
    "bundles are for --platform local or embedded; for Kubernetes push the images to the site's registry (--registry)" ;;
  esac
}

# Where the bundle is written: named by what is in it.
bundle_output() {
  local device=cpu
  "$GPU" && device=gpu
  printf '%s' "${OUTPUT:-$ROOT/dist/pcb-aoi-$PLATFORM-$device.tar}"
}

# bundle_pack FOLDER: write it as one file, which appears only when it is whole.
bundle_pack() {
  local output
  output="$(bundle_output)"
  run mkdir -p "$(dirname "$output")"
  run tar -C "$1" -cf "$output.part" .
  run mv -f "$output.part" "$output"
  "$DRY_RUN" || info "离线包已写好：$output（$(du -h "$output" | cut -f 1)）。现场运行 ./deploy.sh up --bundle $(basename "$output")" \
    "the bundle is ready: $output ($(du -h "$output" | cut -f 1)). On site: ./deploy.sh up --bundle $(basename "$output")"
}

# Build every function's image, without deploying it, and save all images that a site needs.
bundle_create_local() {
  local line folder name port image base content file work images=() helper options=()
  preflight_tools
  "$DRY_RUN" || ensure_check_venv
  # shellcheck disable=SC2034 # read by deploy/nuclio.sh
  STACK="$(stack)"
  make_plan
  "$DRY_RUN" || local_check
  local_disk
  ensure_base "$(cut -f 5 <<<"${PLAN[0]}")"
  work="$(mktemp -d)"
  mkdir "$work/functions" "$work/samples"
  "$NO_PULL" && options+=(--no-pull)
  for line in "${PLAN[@]}"; do
    IFS=$'\t' read -r folder name port image base content file <<<"$line"
    info "构建 $name" "building $name"
    nuctl_ build "$name" --path "$ROOT/functions/$folder" --file "$file" --image "$image" \
      --platform local --namespace "$NAMESPACE" "${options[@]}" ||
      { rm -rf "$work" && fatal "$name 没有构建成功" "$name was not built"; }
    images+=("$image")
    tool json "$file" >"$work/functions/$name.json"
    printf '%s\n' "$line" >>"$work/plan.tsv"
    [[ ! -d "$ROOT/samples/$folder" ]] || cp -R "$ROOT/samples/$folder" "$work/samples/"
  done
  images+=("$base")
  mapfile -t helpers < <(helper_images)
  for helper in "${helpers[@]}"; do
    docker image inspect "$helper" >/dev/null 2>&1 || run docker pull "$helper"
    images+=("$helper")
  done
  if "$WITH_DASHBOARD"; then
    helper="quay.io/nuclio/dashboard:$NUCTL_VERSION-amd64"
    docker image inspect "$helper" >/dev/null 2>&1 || run docker pull "$helper"
    images+=("$helper")
  fi
  printf 'local\n' >"$work/platform"
  printf '%s\n' "$NUCTL_VERSION" >"$work/nuclio-version"
  printf '%s\n' "${images[@]}" >"$work/images.txt"
  info "保存 ${#images[@]} 个镜像" "saving ${#images[@]} images"
  run docker save --output "$work/images.tar" "${images[@]}"
  bundle_pack "$work"
  rm -rf "$work"
}

# Wheels for the embedded platform: made here, installed there by pip without an index.
bundle_create_embedded() {
  local work
  ensure_venv "$(serve_extras)"
  work="$(mktemp -d)"
  mkdir "$work/wheels"
  printf 'embedded\n' >"$work/platform"
  info "下载 Python 包" "downloading Python packages"
  # hatchling and editables: what pip builds this checkout with.
  run "$(venv_path)/bin/python" -m pip download --quiet --disable-pip-version-check --dest "$work/wheels" \
    "${ROOT}[$(serve_extras)]" hatchling editables ||
    fatal "下载失败，原因见上" "the download failed, see above"
  bundle_pack "$work"
  rm -rf "$work"
}

# Install what `bundle` wrote. No registry, no package index, no build.
bundle_install() {
  local work platform
  [[ -f "$BUNDLE" ]] || fatal "没有这个文件：$BUNDLE" "no such file: $BUNDLE"
  work="$(mktemp -d)"
  if ! tar -C "$work" -xf "$BUNDLE" 2>/dev/null || [[ ! -f "$work/platform" ]]; then
    rm -rf "$work"
    fatal "$BUNDLE 不是离线包，或没有传完整：与源文件比较 sha256sum" \
      "$BUNDLE is no bundle, or was cut on its way: compare sha256sum with the source"
  fi
  platform="$(cat "$work/platform")"
  case "$platform" in
  local) bundle_install_local "$work" ;;
  embedded) bundle_install_embedded "$work" ;;
  *) fatal "不认识的离线包" "a bundle of an unknown kind: $platform" ;;
  esac
  rm -rf "$work"
}

bundle_install_embedded() {
  PLATFORM=embedded
  PIP_NO_INDEX=1 PIP_FIND_LINKS="$1/wheels" ensure_venv "$(serve_extras)"
  platform_embedded_up
}

bundle_install_local() {
  local work="$1" wanted line failed=0
  PLATFORM=local
  preflight_tools
  wanted="$(cat "$work/nuclio-version")"
  [[ "$NUCTL_VERSION" == "$wanted" ]] || fatal \
    "离线包是为 nuclio $wanted 做的，本机 nuctl 是 $NUCTL_VERSION。请换 nuctl，或用本机的版本重做离线包" \
    "the bundle is for nuclio $wanted, nuctl here is $NUCTL_VERSION. Change nuctl, or make the bundle with this version"
  mapfile -t PLAN <"$work/plan.tsv"
  bundle_choose
  for line in "${PLAN[@]}"; do local_port_free "$line"; done
  local_disk
  info "载入镜像" "loading the images"
  run docker load --quiet --input "$work/images.tar"
  if ! "$DRY_RUN"; then
    mkdir -p "$NUCLIO_STATE"
    # status, down and rollback read this where there is no PyYAML.
    cp "$work/plan.tsv" "$NUCLIO_STATE/plan.tsv"
  fi
  nuctl_ create project "$PROJECT" --platform local --namespace "$NAMESPACE"
  # shellcheck disable=SC2034 # read by deploy/local.sh
  ROWS=()
  for line in "${PLAN[@]}"; do
    bundle_deploy "$work" "$line" || failed=1
  done
  "$DRY_RUN" && return
  local_table
  local_settings
  ((failed == 0)) || fatal "有函数没有部署成功，见上表；其余的照常服务" "some functions failed, see the table; the others serve"
}

# Keep the lines of the functions that were named.
bundle_choose() {
  local line kept=()
  ((${#FUNCTIONS[@]})) || return 0
  for line in "${PLAN[@]}"; do
    [[ " ${FUNCTIONS[*]} " != *" ${line%%$'\t'*} "* ]] || kept+=("$line")
  done
  ((${#kept[@]})) || fatal "离线包里没有这些函数" "none of these functions is in the bundle: ${FUNCTIONS[*]}"
  PLAN=("${kept[@]}")
}

# A ready image and a configuration with nothing to build: nuctl neither builds nor pulls.
bundle_deploy() {
  local work="$1" folder name port image content rendered status=0
  IFS=$'\t' read -r folder name port image _ content _ <<<"$2"
  rendered="$work/functions/$name.rendered.json"
  tool render "$work/functions/$name.json" --image "$image" >"$rendered"
  SAMPLES="$work/samples" local_apply "$folder" "$name" "$port" "$image" "$content" --file "$rendered" || status=1
  return "$status"
}
