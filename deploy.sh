#!/usr/bin/env bash
# 部署的唯一入口。 The one entry for operations; `./deploy.sh --help` lists what it does.
#
# Finds a Python and hands over to deploy/, which needs nothing but its standard library.
# Only words that every `sh` reads stand before the first check: dash, too, must reach its message.
if [ -z "${BASH_VERSION:-}" ]; then
  printf '%s\n' '错误 / error: 请用 bash 运行 / use bash: bash deploy.sh, ./deploy.sh' >&2
  exit 2
fi
set -euo pipefail

# A link to this file, in ~/bin or of another name, stands for the checkout that it leads to.
file="$(readlink -f -- "${BASH_SOURCE[0]}")"
root="${file%/*}"

# The nuclio platforms work with 3.10. What needs a newer one says so itself.
for python in ${PYTHON:+"${PYTHON}"} python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
  if command -v "${python}" >/dev/null &&
    "${python}" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
    # -I: PYTHONPATH, PYTHONHOME, PYTHONSTARTUP and the user's own packages are not read. -B: nothing is written here.
    exec "${python}" -I -B -c 'import sys
sys.path.insert(0, sys.argv.pop(1))
from deploy.__main__ import main
sys.exit(main(sys.argv[1:]))' "${root}" "$@"
  fi
done

printf '错误 / error: %s / %s\n' \
  '需要 Python 3.11 或更新版本（Debian 12、Ubuntu 24.04 自带）：sudo apt-get install python3 python3-venv；或设置 PYTHON=路径' \
  'Python 3.11 or newer is needed (Debian 12 and Ubuntu 24.04 have it): sudo apt-get install python3 python3-venv; or set PYTHON=path' >&2
exit 1
