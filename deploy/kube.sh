# shellcheck shell=bash
# nuclio on Kubernetes: images built here and pushed to a registry, replicas and GPUs by the cluster.
#
# Environment, beside the options of deploy.sh and of deploy/nuclio.sh:
#   KUBE_MIN_REPLICAS KUBE_MAX_REPLICAS   pods of each function (default 1 and 1)
#   KUBE_GPU_RESOURCE   nvidia.com/gpu; or a MIG slice such as nvidia.com/mig-1g.10gb
#   KUBE_GPU_MEM_MIB    limit of each function's GPU memory, where time-slicing lets several share one card
#   KUBE_NODE_SELECTOR  key=value[,key=value]
#   KUBE_PULL_SECRET    name of a docker-registry secret in the namespace
#   NUCTL_NAMESPACE     the namespace of CVAT's release: CVAT lists the functions there and nowhere else

platform_kube_up() {
  local line failed=0
  [[ -n "$REGISTRY" ]] || fatal "请用 --registry 指定集群能拉取的镜像仓库，例如 registry.example.com/pcb" \
    "name the registry that the cluster pulls from: --registry registry.example.com/pcb"
  [[ -n "${NUCTL_NAMESPACE:-}" ]] || fatal "请设置 NUCTL_NAMESPACE 为 CVAT 所在的命名空间" \
    "set NUCTL_NAMESPACE to the namespace of CVAT's release"
  preflight_tools
  "$DRY_RUN" || ensure_check_venv
  # shellcheck disable=SC2034 # read by deploy/nuclio.sh
  STACK="$(CUDA_STACK="${CUDA_STACK:-cuda13}" stack)" # the nodes' driver cannot be seen from here
  make_plan
  "$DRY_RUN" || local_check
  ensure_base "$(cut -f 5 <<<"${PLAN[0]}")"
  # On a cluster creating a project twice is an error.
  if "$DRY_RUN" || ! nuctl_ get project "$PROJECT" --platform kube --namespace "$NAMESPACE" >/dev/null 2>&1; then
    nuctl_ create project "$PROJECT" --platform kube --namespace "$NAMESPACE"
  fi
  ROWS=()
  for line in "${PLAN[@]}"; do
    kube_deploy "$line" || failed=1
  done
  "$DRY_RUN" && return
  local_table
  info "CVAT 的 Helm chart：nuclio.enabled=true，函数必须在同一命名空间；CVAT 经 dashboard 调用函数，不需要开放端口" \
    "CVAT's Helm chart: nuclio.enabled=true, and the functions in the same namespace; CVAT calls them through the dashboard, no port is opened"
  ((failed == 0)) || fatal "有函数没有部署成功，见上表" "some functions failed, see the table"
}

kube_deploy() {
  local folder name image content file rendered options=() status=0 log
  IFS=$'\t' read -r folder name _ image _ content file <<<"$1"
  if ! "$DRY_RUN"; then
    if [[ "$(tool stored content <<<"$(nuctl_get "$name")")" == "$content" ]]; then
      info "$name 没有变化" "$name is unchanged"
      ROWS+=("$name	unchanged	-	$image	-	-	-")
      return
    fi
    keep_previous "$name"
  fi
  # A tag never moves: nodes keep what they have pulled, and rollback finds the old image in the registry.
  image="$image-$content"
  [[ -z "${KUBE_GPU_MEM_MIB:-}" ]] || options+=(--gpu-mem-mib "$KUBE_GPU_MEM_MIB")
  [[ -z "${KUBE_PULL_SECRET:-}" ]] || options+=(--pull-secret "$KUBE_PULL_SECRET")
  mkdir -p "$NUCLIO_STATE"
  rendered="$NUCLIO_STATE/kube-$name.rendered.json"
  tool kube "$file" --image "$image" --min-replicas "${KUBE_MIN_REPLICAS:-1}" \
    --max-replicas "${KUBE_MAX_REPLICAS:-1}" --gpu-resource "${KUBE_GPU_RESOURCE:-nvidia.com/gpu}" \
    --node-selector "${KUBE_NODE_SELECTOR:-}" "${options[@]}" >"$rendered"
  options=(--path "$ROOT/functions/$folder" --file "$rendered" --registry "$REGISTRY" --project-name "$PROJECT"
    --platform kube --namespace "$NAMESPACE" --annotations "$CONTENT_ANNOTATION=$content")
  "$NO_PULL" && options+=(--no-pull)
  if "$DRY_RUN"; then
    run nuctl deploy "$name" "${options[@]}"
    return
  fi
  info "部署 $name" "deploying $name"
  log="$NUCLIO_STATE/$name.log"
  if nuctl_ deploy "$name" "${options[@]}" >"$log" 2>&1; then
    ROWS+=("$name	deployed	-	$REGISTRY/$image	-	-	-")
  else
    tail -n 15 "$log" >&2
    ROWS+=("$name	failed	-	$REGISTRY/$image	-	-	$log")
    status=1
  fi
  return "$status"
}

platform_kube_status() {
  local line name record state bad=0
  preflight_tools
  make_plan
  ROWS=()
  for line in "${PLAN[@]}"; do
    name="$(cut -f 2 <<<"$line")"
    record="$(nuctl_get "$name")"
    state="$(tool stored state <<<"$record")"
    [[ "$state" == ready ]] || bad=1
    ROWS+=("$name	${state:-absent}	-	$(tool stored image <<<"$record")	-	-	$(tool stored message <<<"$record" | head -c 200)")
  done
  local_table
  ((bad == 0)) || info "原因：kubectl -n $NAMESPACE get pods,events | grep nuclio" \
    "the cause: kubectl -n $NAMESPACE get pods,events | grep nuclio"
  return "$bad"
}

platform_kube_down() {
  local line name
  preflight_tools
  while IFS= read -r line; do
    name="pcb-$line"
    [[ -z "$(nuctl_get "$name")" ]] || nuctl_ delete function "$name" --platform kube --namespace "$NAMESPACE"
  done < <(folders)
  info "函数已删除；镜像留在仓库里" "the functions are gone; their images stay in the registry"
}
