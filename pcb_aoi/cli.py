"""The command `pcb-aoi`: one subcommand a module."""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.metadata
import importlib.util
import io
import os
import select
import sys
from pathlib import Path

from pcb_aoi import __version__
from pcb_aoi.errors import PcbAoiError

_PACKAGE = Path(__file__).parent
# name -> (module, names of its two functions, help). Imported when chosen: `labels` needs no ONNX Runtime.
_RUN = ("add_arguments", "run")
_COMMANDS = {
    "adopt": ("commands.adopt", *_RUN, "采用自己的权重 / make a function run weights of your own"),
    "new": ("commands.new", *_RUN, "新增一个功能 / make one more function, with labels and weights of your own"),
    "annotate": ("commands.annotate", *_RUN, "检测图像文件并打印结果 / annotate image files and print the shapes"),
    "serve": ("platform.serve", *_RUN, "启动内置平台 / run the embedded platform that CVAT calls"),
    "demo": ("demo.command", *_RUN, "用样板演示 / annotate the sample boards and write a page"),
    "check": ("commands.check", *_RUN, "部署前检查功能目录 / check function folders before deploying"),
    "labels": ("commands.labels", *_RUN, "打印CVAT标签JSON，或读入项目的 / CVAT's label JSON, or a project's read"),
    "sync": ("commands.sync", *_RUN, "由labelmaps生成标签 / generate label specs from labelmaps"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0 well, 1 failed, 2 wrong usage, 141 nobody reads the output."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without Chinese gets \u5f00 in its place: readable, and in JSON the same text.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()
    except OSError as error:
        full = error.errno == errno.ENOSPC
        # The pipe of another command's connection is that command's own affair.
        if not full and not (isinstance(error, BrokenPipeError) and _reader_gone()):
            raise
        # What is left in the buffer has nowhere to go; Python would complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not full:
            return 141
        print(f"错误 / error: 磁盘满了 / the disk is full: {error}", file=sys.stderr)
        return 1


def _reader_gone() -> bool:
    """Say whether standard output is a pipe that nobody reads any more, as after `| head -1`."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="pcb-aoi", description="CVAT的PCB缺陷检测 / PCB defect detectors for CVAT")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, add_arguments, run, text) in _COMMANDS.items():
        if not (_PACKAGE / module.replace(".", "/")).with_suffix(".py").is_file():
            continue  # the functions' image has no demo
        command = commands.add_parser(name, help=text, description=text)
        if name == chosen:
            code = importlib.import_module(f"pcb_aoi.{module}")
            getattr(code, add_arguments)(command)
            command.set_defaults(run=getattr(code, run))
    for entry in importlib.metadata.entry_points(group="pcb_aoi.commands"):
        # Of other packages of this project, which import this one and not the other way; the functions' image has none.
        if chosen in (entry.name, None) and importlib.util.find_spec(entry.module.partition(".")[0]):
            code = entry.load()
            command = commands.add_parser(entry.name, help=code.HELP, description=code.HELP)
            code.add_arguments(command)
            command.set_defaults(run=code.run)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except PcbAoiError as error:
        print(f"错误 / error: {error}", file=sys.stderr)
        if error.detail:
            print(f"  {error.detail}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
