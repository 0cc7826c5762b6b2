"""pip, with the user's mirror and without the rest of the user's settings; and what helps when it fails."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy import say, shell

# Where packages come from, and how to get there. All else (target, user, prefix, require-virtualenv, constraint, ...)
# would put packages elsewhere, or other packages here.
KEPT = (
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy",
    "keyring-provider", "timeout", "default-timeout", "retries", "cache-dir",
)  # fmt: skip
_PATHS = ("cert", "client-cert", "cache-dir")

# What pip says -> its cure, in Chinese and English. The first that matches: a cause stands before what follows from it.
_ANOTHER = "PYTHON=python3.12"
_CURES: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Disk quota exceeded|Errno 28\b|Errno 122\b",
        "磁盘满了：df -h {root} {tmp} 查看，清理后重试；临时目录可用 TMPDIR 换到别处",
        "the disk is full: see df -h {root} {tmp}, free some and try again; TMPDIR moves the temporary files",
    ),
    (
        r"Permission denied|Operation not permitted|Errno 13\b",
        "没有写权限：ls -ld {root} 查看所有者；sudo chown -R $(id -un) {root}，或重新 clone 一份",
        "no permission to write: ls -ld {root} shows whose it is; sudo chown -R $(id -un) {root}, or make a clone of "
        "your own",
    ),
    (
        r"Read-only file system|Errno 30\b",
        "文件系统是只读的：把整个目录复制到可写的磁盘上",
        "the file system is read-only: copy this checkout to a disk that can be written",
    ),
    (
        r"DO NOT MATCH THE HASHES|[Hh]ash mismatch",
        "下载的包与校验值不符（镜像没有同步完，或代理改动了内容）：换一个镜像 PIP_INDEX_URL；"
        "用了缓存时清空 PIP_CACHE_DIR",
        "a package is not what its hash says (a mirror half synchronised, or a proxy that changes what passes): set "
        "PIP_INDEX_URL to another mirror, and empty PIP_CACHE_DIR where you use one",
    ),
    (
        r"(?i)certificate.verify.failed|SSLError|SSLCertVerificationError|TLS CA certificate",
        "TLS 证书不被信任：公司代理检查 TLS 时设置 PIP_CERT=公司的CA证书.pem；也请用 date 检查本机时间",
        "the TLS certificate is not trusted: behind a proxy that inspects TLS set PIP_CERT=CA-of-the-company.pem; "
        "check this machine's clock with date",
    ),
    (
        r"407 Proxy|ProxyError|Cannot connect to proxy",
        "代理不通或要求登录：检查 HTTPS_PROXY（http://用户:密码@主机:端口），或取消它",
        "the proxy does not let this through: check HTTPS_PROXY (http://user:password@host:port), or unset it",
    ),
    (
        r"\b40[13] Client Error|\b40[13] Error|User for .*:",
        "软件源要求登录或拒绝访问：检查 PIP_INDEX_URL（https://用户:密码@主机/simple）",
        "the index wants a login or refuses this machine: check PIP_INDEX_URL (https://user:password@host/simple)",
    ),
    (
        r"NameResolutionError|Name or service not known|Temporary failure in name resolution|Network is unreachable|"
        r"Failed to establish a new connection|NewConnectionError|No route to host|Connection refused|Connection reset|"
        r"Connect(ion)?Timeout|ReadTimeout|timed out|RemoteDisconnected|Connection aborted|IncompleteRead|"
        r"Connection broken",
        "连不上软件源：设置镜像 PIP_INDEX_URL 或代理 HTTPS_PROXY 后重试；现场没有网络时，在联网机器上 "
        "./deploy.sh bundle，这里 ./deploy.sh up --bundle 文件",
        "the package index cannot be reached: set PIP_INDEX_URL to a mirror, or HTTPS_PROXY, and try again; for a site "
        "without a network make a bundle elsewhere (./deploy.sh bundle), here ./deploy.sh up --bundle FILE",
    ),
    (
        r"requires a different Python|Requires-Python",
        "有的包不支持 Python {version}：换一个 Python 后重试，例如 {another}",
        "a package does not support Python {version}: try again with another one, such as {another}",
    ),
    (
        r"BadZipFile|is an invalid wheel|Wheel .* is invalid|File is not a zip file|has an invalid wheel",
        "下载的包不完整：重试；来自离线包时，与源文件比较 sha256sum",
        "a package is not whole: try again; from a bundle, compare its sha256sum with the source",
    ),
    (
        r"from versions: none",
        "软件源没有应答，或没有这个包：检查网络和 PIP_INDEX_URL；离线包缺包时请重做",
        "the index does not answer, or lacks this package: check the network and PIP_INDEX_URL; a bundle that lacks it "
        "must be made again",
    ),
    (
        r"No matching distribution found|from versions:",
        "软件源里没有适合 Python {version}（{machine}）的版本：换一个镜像 PIP_INDEX_URL，或换一个 Python，"
        "例如 {another}",
        "the index has no version for Python {version} on {machine}: set PIP_INDEX_URL to another mirror, or try "
        "another Python, such as {another}",
    ),
    (
        r"Failed building wheel|Failed to build|metadata-generation-failed|subprocess-exited-with-error",
        "有的包没有适合 Python {version}（{machine}）的编译版本（需要 x86_64 或 aarch64，glibc）："
        "换一个 Python，例如 {another}",
        "a package is not built for Python {version} on {machine} (x86_64 or aarch64 with glibc is needed): try "
        "another Python, such as {another}",
    ),
    (
        r"MemoryError|Cannot allocate memory|Errno 12\b",
        "内存不足：关掉其他程序后重试",
        "out of memory: close other programs and try again",
    ),
)


def pip(python: Path, words: Sequence[str | Path], *, root: Path, cwd: Path, dry_run: bool = False) -> None:
    """Run `pip WORDS...` in `root` as the environment's `python` has it; `cwd` is where the user stands.

    Raises:
        Fatal: it failed; what it said has been shown, and its cure.
    """
    command: list[str | Path] = [python, "-m", "pip", *words]
    if dry_run:
        shell.run(command, dry_run=True)
        return
    # PYTHONIOENCODING of deploy/say.py: what pip says comes in the user's charset.
    with subprocess.Popen(
        command, cwd=root, env=environ(python, cwd), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, encoding=say.charset(), errors="replace",
    ) as process:  # fmt: skip
        assert process.stderr
        lines = []
        for line in process.stderr:
            sys.stderr.write(line)
            lines.append(line)
    if process.returncode:
        version = shell.output([python, "-c", "import platform; print(platform.python_version())"]) or "3"
        say.fatal(*cure("".join(lines), process.returncode, root, version))


def cure(said: str, status: int, root: Path, version: str) -> tuple[str, str]:
    """Return what helps against what pip said, in Chinese and English."""
    values = {
        "root": shell.quoted([root]),
        "tmp": os.environ.get("TMPDIR", "/tmp"),
        "version": version,
        "machine": os.uname().machine,
        "another": _ANOTHER,
    }
    if status in (-9, 137):
        said = "MemoryError"  # the kernel ended it
    for pattern, zh, en in _CURES:
        if re.search(pattern, said):
            return f"安装失败。{zh.format(**values)}", f"installation failed: {en.format(**values)}"
    return (
        "安装失败，原因见上。没有外网时请设置镜像 PIP_INDEX_URL 后重试",
        "installation failed, see above. Without internet access set PIP_INDEX_URL to a mirror and try again",
    )


def environ(python: Path, cwd: Path) -> dict[str, str]:
    """Return the environment for pip: of its settings, from variables and from pip.conf, those of KEPT alone."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    for name, value in settings(python).items():
        # Relative to where the user stands, as every path the user gives; pip runs in the checkout.
        path = cwd / value if name in _PATHS else None
        clean[variable(name)] = str(path) if path and path.exists() else value
    # Of pip.conf the mirror has been taken over; the rest of it must not be read.
    return clean | {"PIP_CONFIG_FILE": os.devnull}


def settings(python: Path) -> dict[str, str]:
    """Return the settings of KEPT that are in force: the environment's before those of pip.conf."""
    found = {name: os.environ[variable(name)] for name in KEPT if os.environ.get(variable(name))}
    return {name: value for name, value in configured(python).items() if name in KEPT} | found


def configured(python: Path) -> dict[str, str]:
    """Return what pip.conf says, of all its places: name to value. Several values are separated by blanks."""
    said = shell.output([python, "-m", "pip", "config", "list"]) or ""
    return _values(said)


def ignored(python: Path, environment: Mapping[str, str]) -> list[str]:
    """Name the settings of pip that are not followed here: variables, and entries of pip.conf."""
    kept = {variable(name) for name in KEPT} | {"PIP_CONFIG_FILE"}
    variables = [key for key in environment if key.startswith("PIP_") and key not in kept]
    return sorted(variables) + sorted(f"pip.conf: {name}" for name in configured(python) if name not in KEPT)


def variable(name: str) -> str:
    """Return the environment variable of a setting: PIP_INDEX_URL for index-url."""
    return f"PIP_{name.upper().replace('-', '_')}"


def _values(said: str) -> dict[str, str]:
    # One line a setting, `section.name='value'`; ":env:" are the variables. Those of [install] come before [global].
    values: dict[str, str] = {}
    for section in ("global", "install"):
        for name, literal in re.findall(rf"^{section}\.([a-z-]+)=(.+)$", said, re.MULTILINE):
            values[name] = " ".join(str(ast.literal_eval(literal)).split())
    return values
