#!/usr/bin/env bats
# The nuclio platforms up to the first change: what is missing or does not fit is named, with its cure.
# What happens after that is tested with a real Docker engine, in tests/e2e.
bats_require_minimum_version 1.5.0

setup() {
  load helper
  make_checkout
  make_venv
  # shellcheck disable=SC2016 # for the fakes
  fake docker 'case "$*" in
"version"*) echo "${FAKE_DOCKER:-28.2.2}" ;;
"ps"*) echo "${FAKE_DASHBOARD:-}" ;;
"info"*) echo / ;;
*) exit 1 ;;
esac'
  # shellcheck disable=SC2016
  fake nuctl 'case "$*" in
version) printf "Client version:\n\"Label: %s, Git commit: x\"\n" "${FAKE_NUCTL:-1.13.0}" ;;
*) exit 1 ;;
esac'
}

# The functions of this checkout, with something in place of weights, and on ports that nobody has.
real_functions() {
  local file
  rm -rf "$CHECKOUT/functions"
  cp -R "$REPOSITORY/functions" "$REPOSITORY/pcb_aoi" "$REPOSITORY/README.md" "$REPOSITORY/LICENSE" "$CHECKOUT/"
  sed -i 's/^sha256: .*/sha256: "0000000000000000000000000000000000000000000000000000000000000000"/' \
    "$CHECKOUT"/functions/*/model.yaml
  for file in "$CHECKOUT"/functions/*/function*.yaml; do
    sed -i "s/port: 32[0-9]*/port: $(free_port)/" "$file"
  done
}

@test "no docker: names the package" {
  without docker
  deploy up --platform local
  exits 1
  says "apt-get install docker.io"
}

@test "a daemon that does not answer: start it, join its group" {
  fake docker 'exit 1'
  deploy up --platform local
  exits 1
  says "systemctl start docker"
  says "usermod -aG docker"
}

@test "no nuctl: where to get it" {
  without nuctl
  deploy up --platform local
  exits 1
  says "github.com/nuclio/nuclio/releases"
}

@test "a nuctl that is too old, or not the dashboard's version" {
  FAKE_NUCTL=1.12.0 deploy up --platform local
  exits 1
  says "1.13.0 is the oldest"
  FAKE_NUCTL=1.15.9 FAKE_DASHBOARD=quay.io/nuclio/dashboard:1.13.0-amd64 deploy up --platform local
  exits 1
  says "nuctl is 1.15.9 but the dashboard is 1.13.0"
}

@test "Docker 29 with a dashboard that is too old for it" {
  FAKE_DOCKER=29.1.0 FAKE_DASHBOARD=quay.io/nuclio/dashboard:1.13.0-amd64 deploy up --platform local
  exits 1
  says "1.15.9 or newer"
}

@test "nothing is changed before the preflight is through" {
  FAKE_NUCTL=1.12.0 deploy up --platform local
  run grep -E '^(docker (build|run|load|tag)|nuctl (deploy|create|delete)|pip)' "$CALLS"
  [[ -z "$output" ]]
}

@test "--dry-run prints every nuctl command, for CPU and GPU" {
  real_functions
  deploy up --platform local --dry-run
  exits 0
  says "+ nuctl create project cvat --platform local"
  [[ "$(grep -c '^+ nuctl deploy pcb-' <<<"$output")" -eq 5 ]]
  says "functions/inner-layer/function.yaml"
  fake nvidia-smi 'case "$*" in *driver*) echo 580.65.06 ;; *) echo 8.6 ;; esac'
  deploy up --platform local --gpu --dry-run --function inner-layer --no-pull
  exits 0
  says "functions/inner-layer/function-gpu.yaml"
  says "STACK=cuda13"
  says "--no-pull"
  run grep -E '^(docker (build|run)|nuctl (deploy|create))' "$CALLS"
  [[ -z "$output" ]]
}

@test "the CUDA that driver and card can run" {
  real_functions
  while read -r driver card stack; do
    fake nvidia-smi "case \"\$*\" in *driver*) echo $driver ;; *) echo $card ;; esac"
    deploy up --platform local --gpu --dry-run --function inner-layer
    says "$stack"
  done <<'EOF'
580.65.06 8.6 STACK=cuda13
590.1 10.0 STACK=cuda13
580.65.06 7.0 STACK=cuda12
535.161.08 8.6 STACK=cuda12
470.256.02 7.5 too
EOF
}

@test "--gpu without a GPU ends at once" {
  real_functions
  fake nvidia-smi 'exit 9'
  deploy up --platform local --gpu --dry-run
  exits 1
  says "nvidia-smi finds no GPU"
}

@test "bundle for a GPU site, made on a machine without a GPU" {
  real_functions
  fake nvidia-smi 'exit 9'
  deploy bundle --platform local --gpu --dry-run --function inner-layer
  exits 1
  says "CUDA_STACK=cuda13"
  CUDA_STACK=cuda11 deploy bundle --platform local --gpu --dry-run --function inner-layer
  exits 1
  says "must be cuda12 or cuda13"
  CUDA_STACK=cuda12 deploy bundle --platform local --gpu --dry-run --function inner-layer
  exits 0
  says "STACK=cuda12"
  says "functions/inner-layer/function-gpu.yaml"
  says "pcb-aoi-local-gpu.tar"
  [[ "$output" != *"nuclio/dashboard"* ]]
}

@test "bundle --with-dashboard packs nuclio's dashboard of nuctl's version" {
  real_functions
  FAKE_NUCTL=1.15.9 deploy bundle --platform local --with-dashboard --dry-run --function inner-layer
  exits 0
  says "docker pull quay.io/nuclio/dashboard:1.15.9-amd64"
  says "docker save"
  run grep -E '^(docker (build|pull|save)|nuctl build)' "$CALLS"
  [[ -z "$output" ]]
}

@test "a function without weights is named and left out" {
  real_functions
  sed -i 's/^sha256: .*/sha256: null/' "$CHECKOUT/functions/gold-osp/model.yaml"
  deploy up --platform local --dry-run
  exits 0
  says "gold-osp: no weights yet"
  [[ "$output" != *"deploy pcb-gold-osp"* ]]
}

@test "kube: wants a registry and a namespace" {
  deploy up --platform kube
  exits 1
  says "--registry registry.example.com/pcb"
  deploy up --platform kube --registry registry.example.com/pcb
  exits 1
  says "NUCTL_NAMESPACE"
}

@test "up --bundle: a file that is missing or no bundle" {
  deploy up --bundle "$BATS_TEST_TMPDIR/none.tar"
  exits 1
  says "no such file"
  echo junk >"$BATS_TEST_TMPDIR/junk.tar"
  deploy up --bundle "$BATS_TEST_TMPDIR/junk.tar"
  exits 1
  says "sha256sum"
}

@test "rollback: for nuclio, and only where something was kept" {
  deploy rollback
  exits 1
  says "--platform local or kube"
  real_functions
  deploy rollback --platform local --function inner-layer
  exits 1
  says "no earlier version is kept"
}
