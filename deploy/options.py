"""What the user asked for: the command line as one frozen value."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from deploy import say

PLATFORMS = ("embedded", "local", "kube")

COMMANDS = {
    "demo": (
        "用示例板图走一遍 CVAT 的调用，结果写入 out/index.html",
        "annotate the sample boards through the call CVAT makes; writes out/index.html",
    ),
    "up": ("启动函数，并打印 CVAT 的设置", "start the functions and print the settings for CVAT"),
    "status": ("CVAT 现在能看到什么", "what CVAT would see now"),
    "down": ("停止", "stop"),
    "check": ("部署前检查函数目录", "check the function folders before deploying"),
    "doctor": ("检查这台机器和这个目录，并给出办法", "look over this machine and this checkout, and name the cures"),
    "bundle": ("为不能联网的现场打包", "pack everything an air-gapped site needs"),
    "rollback": ("回到上一个模型版本", "go back to the previous model version"),
    "install": ("只建 Python 环境（.venv）", "make the Python environment (.venv) and no more"),
}

_OPTIONS = {
    "--platform NAME": (
        "embedded（默认，一个进程，不需要 Docker）、local（nuclio + Docker）、kube（Kubernetes）",
        "embedded (default: one process, no Docker), local (nuclio on Docker), kube (Kubernetes)",
    ),
    "--function NAME": ("只处理这个函数，可重复", "only this function; may be repeated"),
    "--gpu": ("使用 GPU", "use the GPU"),
    "--language zh|en": ("CVAT 中的标签语言", "language of the labels in CVAT"),
    "--host ADDRESS": ("embedded 的监听地址（默认 127.0.0.1）", "embedded: address to listen on (default 127.0.0.1)"),
    "--port NUMBER": ("embedded 的端口（默认 8070）", "embedded: port to listen on (default 8070)"),
    "--allow CIDR": ("--host 不是本机时，允许的客户端，可重复", "clients allowed when --host is not loopback"),
    "--registry NAME": ("kube 的镜像仓库", "image registry for kube"),
    "--bundle FILE": ("up：从离线包安装", "up: install from a bundle"),
    "--output FILE": ("bundle：写到哪里", "bundle: where to write it"),
    "--with-dashboard": ("bundle：加入 nuclio 的 dashboard 镜像", "bundle: include nuclio's dashboard image"),
    "--extra NAME": (
        "install：再装 train、boards、adopt、cvat、metrics 或 test 的包，可重复",
        "install: also the packages of train, boards, adopt, cvat, metrics or test",
    ),
    "--no-pull": ("不拉取镜像", "do not pull images"),
    "--dry-run": ("只打印要执行的命令", "print the commands, run none"),
    "--help": ("显示本页", "show this page"),
}

_FLAGS = {"--gpu": "gpu", "--dry-run": "dry_run", "--no-pull": "no_pull", "--with-dashboard": "with_dashboard"}
_VALUES = {f"--{name}": name for name in ("platform", "language", "host", "port", "registry", "bundle", "output")}
_REPEATED = {"--function": "functions", "--allow": "allow", "--extra": "extras"}


@dataclass(frozen=True)
class Options:
    """The command line, checked."""

    root: Path
    """This checkout, without links."""
    cwd: Path
    """Where the user stands; `bundle` and `output` are resolved against it."""
    command: str
    platform: str = "embedded"
    gpu: bool = False
    dry_run: bool = False
    functions: tuple[str, ...] = ()
    """Folders under functions/; empty means all of them."""
    allow: tuple[str, ...] = ()
    language: str = ""
    """`zh`, `en`, or empty: leave the labels as they are."""
    host: str = ""
    port: int = 0
    """Of the embedded platform; empty and 0: not asked for."""
    registry: str = ""
    bundle: Path | None = None
    output: Path | None = None
    no_pull: bool = False
    with_dashboard: bool = False
    extras: tuple[str, ...] = ()
    """`train`, `boards`, `adopt`, `cvat`, `metrics`, `test`: what `install` adds to what the functions need."""

    @property
    def state(self) -> Path:
        """The folder for run-time state."""
        return self.root / ".run"


def usage(stream: TextIO) -> str:
    """Return the page of `--help`, in what the stream can show."""
    lines = [f"{say.both('用法', 'Usage', stream)}: ./deploy.sh COMMAND [OPTIONS]"]
    for title, table in ((("命令", "Commands"), COMMANDS), (("选项", "Options"), _OPTIONS)):
        lines += ["", say.both(*title, stream)]
        width = max(map(len, table)) + 2
        for name, (zh, en) in table.items():
            texts = [zh, en] if say.chinese(stream) and len(zh) + len(en) > 76 else [say.both(zh, en, stream)]
            lines += [f"  {head:{width}}{text}" for head, text in zip((name, ""), texts, strict=False)]
    return "\n".join(lines)


def parse(words: list[str], root: Path, cwd: Path) -> Options:
    """Read the command line. `--help` prints the usage and ends.

    Raises:
        Fatal: with status 2 for what cannot be understood, 0 after --help. Nothing has been changed.
    """
    if not words:
        print(usage(sys.stderr), file=sys.stderr)
        raise say.Fatal(2)
    chosen = _collect(words)
    if "command" not in chosen:
        _usage_error("缺少命令", "a command is missing")
    _one_of("platform", chosen, PLATFORMS)
    _one_of("language", chosen, ("zh", "en"))
    for name in chosen.get("extras", ()):
        _one_of("extra", {"extra": name}, ("train", "boards", "adopt", "cvat", "metrics", "test"))
    if port := chosen.get("port"):
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            _usage_error("--port 只能是 1 到 65535", f"--port must be 1..65535; {port}")
        chosen["port"] = int(port)
    for name in chosen.get("functions", ()):
        if "/" in name or not (root / "functions" / name / "function.yaml").is_file():
            _usage_error("没有这个函数", f"no such function: {name} (functions/*/)")
    for key in ("bundle", "output"):
        if key in chosen:
            chosen[key] = cwd / chosen[key]
    return Options(root=root, cwd=cwd, **chosen)


def _collect(words: list[str]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--help":
            print(usage(sys.stdout))
            raise say.Fatal(0)
        if word in _FLAGS:
            chosen[_FLAGS[word]] = True
        elif word in _VALUES or word in _REPEATED:
            if not rest or not rest[0] or rest[0].startswith("--"):
                _usage_error(f"{word} 缺少值", f"{word} needs a value")
            if word in _VALUES:
                chosen[_VALUES[word]] = rest.pop(0)
            else:
                chosen[_REPEATED[word]] = (*chosen.get(_REPEATED[word], ()), rest.pop(0))
        elif word.startswith("-"):
            _usage_error("未知选项", f"unknown option: {word}")
        elif "command" in chosen:
            _usage_error("多余的参数", f"unexpected argument: {word}")
        elif word not in COMMANDS:
            _usage_error("未知命令", f"unknown command: {word}")
        else:
            chosen["command"] = word
    return chosen


def _one_of(key: str, chosen: dict[str, Any], allowed: tuple[str, ...]) -> None:
    if (value := chosen.get(key)) and value not in allowed:
        words = " or ".join(allowed) if len(allowed) == 2 else f"one of: {' '.join(allowed)}"
        _usage_error(f"--{key} 只能是 {'、'.join(allowed)}", f"--{key} must be {words}; {value}")


def _usage_error(zh: str, en: str) -> NoReturn:
    say.fatal(f"{zh}。用法：./deploy.sh --help", f"{en}; see ./deploy.sh --help", status=2)
