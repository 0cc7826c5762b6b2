"""The virtual environment in this checkout: found, made, and filled."""

from __future__ import annotations

import os
import platform
import re
import shutil
import zlib
from pathlib import Path

from deploy import lock, packages, say, shell

OLDEST = (3, 11)
_NAMES = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def extras(gpu: bool) -> str:
    """Name the extras that the embedded platform needs on this device."""
    return "serve,gpu" if gpu else "serve,cpu"


def folder(root: Path, gpu: bool) -> Path:
    """Name the environment. One for each onnxruntime: the CPU and the GPU package overwrite each other's files."""
    return root / (".venv-gpu" if gpu else ".venv")


def locked(root: Path, gpu: bool) -> Path:
    """Name the file of the packages' versions and hashes, and of what builds this project."""
    return root / "deploy" / "locks" / f"embedded-{'gpu' if gpu else 'cpu'}.txt"


def ensure(
    root: Path, gpu: bool, extras: str, *, dry_run: bool = False, wheels: Path | None = None, cwd: Path | None = None
) -> Path:
    """Make the environment and install this project into it with the extras named; nothing when that is done.

    `wheels` is a bundle's folder of wheels: then no other place is asked for packages, and the Python is the one they
    were made for. `cwd` is where the user stands. Returns the environment's folder.

    Raises:
        Fatal: no fitting Python, or the installation failed; the message names the cure.
    """
    venv = folder(root, gpu)
    stamp = venv / f"installed-{extras.replace(',', '-')}"
    wanted = f"{zlib.crc32((root / 'pyproject.toml').read_bytes() + locked(root, gpu).read_bytes())}\n"
    version = wheels_python(wheels) if wheels else ""
    if _done(venv, stamp, wanted, version):
        return venv
    with lock.held(root / ".run", dry_run=dry_run):
        if _done(venv, stamp, wanted, version):  # another deploy.sh made it while this one waited
            return venv
        if problem := fault(venv, version):
            python = find_python(version)
            if venv.is_dir():
                say.info(f"重建虚拟环境：{problem[0]}", f"making the virtual environment anew: {problem[1]}")
            else:
                say.info("创建虚拟环境", f"making the virtual environment: {venv}")
            if shell.run([python, "-m", "venv", "--clear", venv], dry_run=dry_run, check=False):
                package = f"python{_ask(python, _VERSION)}-venv"
                say.fatal(
                    f"没有建成，原因见上。缺少 venv 时：sudo apt-get install {package}；磁盘：df -h {root}",
                    f"it was not made, see above. Without venv: sudo apt-get install {package}; the disk: df -h {root}",
                )
        say.info("安装 Python 包（第一次约一分钟）", "installing Python packages (about a minute the first time)")
        words: list[str | Path] = ["install", "--quiet", "--disable-pip-version-check"]
        python = venv / "bin" / "python"
        # Nothing is written outside the checkout: a cache is used only where the user names one.
        if dry_run or "cache-dir" not in packages.settings(python):
            words.append("--no-cache-dir")
        if wheels:
            words += ["--no-index", "--find-links", wheels]
        # Of the locked files alone; then this project, whose further extras, as those of training, have no lock.
        for what in (
            ["--require-hashes", "-r", locked(root, gpu)],
            ["--no-build-isolation", "--editable", f".[{extras}]"],
        ):
            packages.pip(python, [*words, *what], root=root, cwd=cwd or root, dry_run=dry_run)
        if not dry_run:
            lock.write(stamp, wanted)
    return venv


def _done(venv: Path, stamp: Path, wanted: str, version: str) -> bool:
    return stamp.is_file() and stamp.read_text("utf-8") == wanted and not fault(venv, version)


def fault(venv: Path, version: str = "") -> tuple[str, str] | None:
    """Say, in Chinese and English, why this environment cannot be used; None for a sound one.

    A copy of an environment runs the code of the place it was made in, and one whose interpreter was replaced sees no
    packages. `version`, such as "3.12", is the Python that it must have.
    """
    if not os.access(venv / "bin" / "pip", os.X_OK):
        return f"{venv} 不完整", f"{venv} is not complete"
    runs = _ask(venv / "bin" / "python", _VERSION)
    if not runs:
        return "它的 Python 解释器已经不在", "its Python interpreter has gone"
    made = _made_with(venv)
    if made.get("command") and not made["command"].endswith(f" {venv}"):
        return "目录被移动或复制过", f"the checkout was moved or copied; it was made by {made['command']}"
    if made.get("version") and ".".join(made["version"].split(".")[:2]) != runs:
        return (
            f"它是用 Python {made['version']} 建的，现在是 {runs}",
            f"it was made by Python {made['version']}, now {runs}",
        )
    if version and runs != version:
        return f"离线包需要 Python {version}，它是 {runs}", f"the bundle needs Python {version}, it has {runs}"
    return None


def _made_with(venv: Path) -> dict[str, str]:
    try:
        text = (venv / "pyvenv.cfg").read_text("utf-8")
    except OSError:
        return {}
    return dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE))


def find_python(version: str = "") -> Path:
    """Find the first Python that can make a virtual environment; python3 first, as python3-venv belongs to it.

    `version`, such as "3.12", asks for that one alone.

    Raises:
        Fatal: there is none; the message names the package.
    """
    found = search(version)
    if isinstance(found, Path):
        return found
    say.fatal(*found)


def search(version: str = "") -> Path | tuple[str, str]:
    """Return what `find_python` does, or in Chinese and English what to install."""
    names = [os.environ.get("PYTHON") or "python3", *_NAMES, f"python{version}"]
    found: dict[str, str] = {}
    for name in dict.fromkeys(names if version else names[:-1]):
        path = shutil.which(name, path=_path())
        runs = _ask(path, _VERSION) if path else None
        if path is None or runs is None:
            continue
        found[name] = runs
        if _fits(runs, version) and _ask(path, "import ensurepip, venv") is not None:
            return Path(path).absolute()
    return _no_python(found, version)


def _ask(python: str | Path, code: str) -> str | None:
    # From the root folder: with -c Python takes modules from where it stands first.
    return shell.output([Path(python).absolute(), "-c", code], cwd=Path("/"))


def _fits(runs: str, version: str) -> bool:
    if version:
        return runs == version
    # What does not say its version has said that it is a Python: that it is new enough was asked by deploy.sh.
    return not runs or tuple(map(int, runs.split("."))) >= OLDEST


def _path() -> str:
    # An activated environment of a checkout is no place to make one from: it may be the very one to be made anew.
    active = os.environ.get("VIRTUAL_ENV")
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not active or Path(folder) != Path(active) / "bin")


def _no_python(found: dict[str, str], version: str) -> tuple[str, str]:
    have = ", ".join(f"{name} {runs}".rstrip() for name, runs in found.items()) or "-"
    fitting = [name for name, runs in found.items() if _fits(runs, version)]
    if fitting:
        # Debian and Ubuntu pack venv with each Python: python3's is python3-venv, python3.11's is python3.11-venv.
        package = f"{Path(fitting[0]).name}-venv"
        return (
            f"{fitting[0]} 缺少 venv 模块，请安装后重试：sudo apt-get install {package}",
            f"{fitting[0]} lacks its venv module; install it and try again: sudo apt-get install {package}",
        )
    if version:
        return (
            f"离线包是用 Python {version} 做的，这台机器有：{have}。请安装：sudo apt-get install python{version} "
            f"python{version}-venv；或在联网机器上用同样的 Python 重做：PYTHON=python3.11 ./deploy.sh bundle",
            f"the bundle was made by Python {version}; this machine has {have}. Install it: sudo apt-get install "
            f"python{version} python{version}-venv; or make the bundle again with this machine's Python: "
            "PYTHON=python3.11 ./deploy.sh bundle",
        )
    return (
        f"需要 Python 3.11 或更新版本（Debian 12、Ubuntu 24.04 自带），这台机器有：{have}。"
        "sudo apt-get install python3 python3-venv；或设置 PYTHON=路径",
        f"Python 3.11 or newer is needed (Debian 12 and Ubuntu 24.04 have it); this machine has {have}. "
        "sudo apt-get install python3 python3-venv; or set PYTHON=path",
    )


def wheels_python(wheels: Path) -> str:
    """Return the Python that a folder of wheels was made for, such as "3.12"; empty where any Python will do.

    Raises:
        Fatal: they were made for another kind of machine.
    """
    machine, version = platform.machine(), ""
    for wheel in sorted(wheels.glob("*.whl")):
        # name-version[-build]-python-abi-platform.whl
        python, abi, place = wheel.stem.split("-")[-3:]
        if match := re.fullmatch(r"cp3(\d+)", python):
            version = version if abi == "abi3" else f"3.{match[1]}"
        if place != "any" and not place.endswith(machine):
            made_for = re.sub(r"^(?:many|musl)linux_\d+_\d+_", "", place.split(".")[-1])
            say.fatal(
                f"离线包是为 {made_for} 做的，这台机器是 {machine}：在同样架构的联网机器上重做",
                f"the bundle was made for {made_for}, this machine is {machine}: make it on a machine of this kind",
            )
    return version
