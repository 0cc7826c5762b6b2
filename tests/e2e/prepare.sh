#!/usr/bin/env bash
# Install what tests/e2e needs from the system: a Docker engine of its own, and a way to make a base image without a
# registry. For Debian and Ubuntu, as root; `./tests/run.sh --all` calls it.
set -euo pipefail

packages=(docker.io iptables iproute2 debootstrap debian-archive-keyring busybox-static)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if ((${#missing[@]})); then
  # The packages must not start an engine of their own: the tests run theirs, on a private socket.
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
