"""The virtual environment in this checkout: found, made, and filled."""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path

from deploy import say, shell

_OLDEST = (3, 11)


def extras(gpu: bool) -> str:
    """Name the extras that the embedded platform needs on this device."""
    return "serve,gpu" if gpu else "serve,cpu"


def folder(root: Path, gpu: bool) -> Path:
    """Name the environment. One for each onnxruntime: the CPU and the GPU package overwrite each other's files."""
    return root / (".venv-gpu" if gpu else ".venv")


def find_python() -> Path:
    """Find the first Python that can make a virtual environment; python3 first, as python3-venv belongs to it.

    Raises:
        Fatal: there is none; the message names the package.
    """
    old = False
    for name in (os.environ.get("PYTHON"), "python3", "python3.13", "python3.12", "python3.11"):
        path = shutil.which(name) if name else None
        if path is None or shell.output([path, "-c", f"import sys; sys.exit(sys.version_info < {_OLDEST})"]) is None:
            continue
        if shell.output([path, "-c", "import ensurepip, venv"]) is not None:
            return Path(path)
        old = True
    if old:
        say.fatal(
            "Python 缺少 venv 模块，请安装后重试：sudo apt-get install python3-venv",
            "Python lacks its venv module; install it and try again: sudo apt-get install python3-venv",
        )
    say.fatal(
        "需要 Python 3.11 或更新版本（Debian 12、Ubuntu 24.04 自带）："
        "sudo apt-get install python3 python3-venv；或设置 PYTHON=路径",
        "Python 3.11 or newer is needed (Debian 12 and Ubuntu 24.04 have it): "
        "sudo apt-get install python3 python3-venv; or set PYTHON=path",
    )


def ensure(root: Path, gpu: bool, extras: str, *, dry_run: bool = False, wheels: Path | None = None) -> Path:
    """Make the environment and install this project into it with the extras named; nothing when that is done.

    `wheels` is a bundle's folder of wheels: the only place that packages are taken from. Returns the environment.

    Raises:
        Fatal: no Python, or the installation failed; the message names the cure.
    """
    venv = folder(root, gpu)
    stamp = venv / f"installed-{extras.replace(',', '-')}"
    wanted = f"{zlib.crc32((root / 'pyproject.toml').read_bytes())}\n"
    if not os.access(venv / "bin" / "pip", os.X_OK):
        python = find_python()
        say.info("创建虚拟环境", f"making the virtual environment: {venv}")
        shell.run([python, "-m", "venv", "--clear", venv], dry_run=dry_run)
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return venv
    say.info("安装 Python 包（第一次约一分钟）", "installing Python packages (about a minute the first time)")
    command = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Nothing is written outside the checkout: a cache is used only where the user names one.
    if not os.environ.get("PIP_CACHE_DIR"):
        command.append("--no-cache-dir")
    if wheels:
        command += ["--no-index", "--find-links", wheels]
    if shell.run([*command, "--editable", f".[{extras}]"], dry_run=dry_run, check=False, cwd=root):
        say.fatal(
            "安装失败，原因见上。没有外网时请设置镜像 PIP_INDEX_URL 后重试",
            "installation failed, see above. Without internet access set PIP_INDEX_URL to a mirror and try again",
        )
    if not dry_run:
        stamp.write_text(wanted, "utf-8")
    return venv
