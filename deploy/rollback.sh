# shellcheck shell=bash
# One step back: what ran before a deployment stays, as an image and as nuclio's own record of it.

# Keep what runs now, so that `rollback` can go back to it: its record, and its image under a tag of its own.
keep_previous() {
  local name="$1" record content image
  record="$(nuctl_get "$name")"
  content="$(tool stored content <<<"$record")"
  image="$(tool stored image <<<"$record")"
  # What never became ready is nothing to go back to.
  [[ -n "$content" && "$(tool stored state <<<"$record")" =~ ^(ready|unknown)$ ]] || return 0
  if "$DRY_RUN"; then
    return
  fi
  mkdir -p "$NUCLIO_STATE"
  printf '%s\n' "$record" >"$NUCLIO_STATE/$PLATFORM-$name.json"
  docker image inspect "$image" >/dev/null 2>&1 && docker tag "$image" "$(kept_image "$image" "$content")"
  # One step back is kept; older tags go.
  docker image ls --format '{{.Repository}}:{{.Tag}}' "$(kept_repository "$image")" |
    grep -v -F "$(kept_image "$image" "$content")" | while IFS= read -r image; do
    docker image rm "$image" >/dev/null 2>&1 || true
  done || true
}

kept_repository() {
  printf '%s-previous' "${1%:*}"
}

# kept_image IMAGE CONTENT
kept_image() {
  printf '%s:%s' "$(kept_repository "$1")" "$2"
}

# rollback: redeploy what was kept. Doing it twice comes back.
rollback() {
  local line name record image content rendered status=0
  [[ "$PLATFORM" == local || "$PLATFORM" == kube ]] ||
    fatal "rollback 用于 --platform local 或 kube；embedded 请换回旧的 model.onnx 和 model.yaml 再 up" \
      "rollback is for --platform local or kube; for embedded put the old model.onnx and model.yaml back, then up"
  preflight_tools
  make_plan
  for line in "${PLAN[@]}"; do
    name="$(cut -f 2 <<<"$line")"
    record="$NUCLIO_STATE/$PLATFORM-$name.json"
    if [[ ! -f "$record" ]]; then
      warn "$name：没有更早的版本" "$name: no earlier version is kept"
      ((${#FUNCTIONS[@]} == 0)) || status=1
      continue
    fi
    content="$(tool stored content <"$record")"
    image="$(tool stored image <"$record")"
    if [[ "$PLATFORM" == local && "$image" != *-previous:* ]]; then
      image="$(kept_image "$image" "$content")"
    fi
    rendered="$(mktemp)"
    tool render "$record" --image "$image" >"$rendered"
    # The order matters: what runs now becomes the next step back only after the old record has been read.
    keep_current_image "$name"
    info "$name：回到" "$name: back to $image ($content)"
    nuctl_ deploy "$name" --file "$rendered" --project-name "$PROJECT" --platform "$PLATFORM" --namespace "$NAMESPACE" ||
      status=1
    rm -f "$rendered"
  done
  return "$status"
}

# Swap the kept record for the one that runs now; both images stay.
keep_current_image() {
  local name="$1" record content image
  "$DRY_RUN" && return
  record="$(nuctl_get "$name")"
  content="$(tool stored content <<<"$record")"
  image="$(tool stored image <<<"$record")"
  [[ -n "$content" ]] || return 0
  if [[ "$PLATFORM" == local && "$image" != *-previous:* ]]; then
    docker tag "$image" "$(kept_image "$image" "$content")"
  fi
  printf '%s\n' "$record" >"$NUCLIO_STATE/$PLATFORM-$name.json"
}
