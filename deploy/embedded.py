"""The embedded platform: `up` serves what is on disk, `status` shows what answers, `down` stops it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import cvat_settings, embedded_server, embedded_table, environment, say, shell
from deploy.options import Options

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    """What is to be served: the options, and for what they do not name, what runs."""

    host: str
    port: int
    gpu: bool
    allow: tuple[str, ...]
    names: tuple[str, ...]
    """Function folders; empty means all."""

    @property
    def served(self) -> list[str]:
        """Return the options that say what is served, and on what."""
        return [*(["--gpu"] if self.gpu else []), *(word for name in self.names for word in ("--function", name))]

    def command(self, venv: Path) -> list[str | Path]:
        """Return the server's command line."""
        words: list[str | Path] = [venv / "bin" / "pcb-aoi", "serve", "--host", self.host, "--port", str(self.port)]
        words += self.served
        words += [word for network in self.allow for word in ("--allow", network)]
        return [*words, "--state", ".run"]


def up(options: Options) -> int:
    """Serve what is on disk: start the server, or let a new one take its place where something has changed.

    Returns 1 when a function is unhealthy or left out.

    Raises:
        Fatal: the new server did not become ready; one that runs goes on.
    """
    running = embedded_server.find(options.root)
    report = _ask(running) if running else None
    plan = make_plan(options, running, report)
    extras = environment.extras(plan.gpu)
    venv = environment.ensure(options.root, plan.gpu, extras, dry_run=options.dry_run, cwd=options.cwd)
    _labels(options, venv)
    if running:
        # Asked again: the packages and the labels may have changed just now.
        reasons = list(changes(plan, _ask(running), os.environ))
        if not reasons and not (options.dry_run and options.language):
            say.info(
                f"已经在运行，与磁盘一致（进程 {running.pid}）", f"already running as on disk (process {running.pid})"
            )
            return _show(running, plan)
        for zh, en in reasons:
            say.info(f"有变化：{zh}", f"changed: {en}")
    command = plan.command(venv)
    if options.dry_run:
        shell.run(command, dry_run=True, cwd=options.root)
        cvat_settings.show(plan.host, plan.port, plan.served)
        return 0
    return _show(embedded_server.launch(options.root, command, plan.port, running), plan)


def status(options: Options) -> int:
    """Show the versions that answer, and what is wrong; returns 1 when something is, or nothing runs."""
    running = embedded_server.find(options.root)
    if not running:
        say.info("没有运行。启动：./deploy.sh up", "not running. Start it with ./deploy.sh up --platform embedded")
        return 1
    return embedded_table.show(running.pid, _ask(running))


def down(options: Options) -> int:
    """Stop the server of this checkout, after the calls under way."""
    running = embedded_server.find(options.root)
    record = embedded_server.record_path(options.root)
    if not running:
        say.info("没有运行，无需停止", "not running, nothing to stop")
        if record.exists():
            shell.run(["rm", "-f", record], dry_run=options.dry_run)
        return 0
    if options.dry_run:
        shell.run(["kill", "-TERM", str(running.pid)], dry_run=True)
        return 0
    running.stop()
    record.unlink(missing_ok=True)
    record.with_suffix(".sock").unlink(missing_ok=True)
    say.info("已停止；日志留在 .run/embedded.log", "stopped; the log stays at .run/embedded.log")
    return 0


def make_plan(
    options: Options, running: embedded_server.RunningServer | None, report: Mapping[str, Any] | None
) -> Plan:
    """Join the options with what runs: `up` never takes a function away, nor moves the address.

    Raises:
        Fatal: another host or port than the running server's is asked for.
    """
    host, port, allow = options.host.strip("[]"), options.port, tuple(map(_network, options.allow))
    if not running or report is None:
        return Plan(host or HOST, port or cvat_settings.PORT, options.gpu, allow, options.functions)
    for option, asked, now in (("--host", host, running.host), ("--port", port, running.port)):
        if asked and asked != now:
            say.fatal(
                f"正在 {now} 上运行（进程 {running.pid}），{option} 不能在运行中更改。先运行 ./deploy.sh down",
                f"{option} cannot be changed while it runs (process {running.pid}, {now}). Run ./deploy.sh down first",
            )
    names = {*report["names"], *options.functions} if report["names"] and options.functions else ()
    return Plan(
        running.host,
        running.port,
        options.gpu or report["gpu"],
        allow or tuple(report["allow"]),
        tuple(sorted(names)),
    )


def _network(text: str) -> str:
    """Write a network as the server reports it; what is none is the server's to refuse."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        return text


def changes(plan: Plan, report: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Say, in Chinese and English, why the running server is not what is wanted."""
    names = {"code": ("代码 pcb_aoi/", "code of pcb_aoi/"), "packages": ("Python 包", "Python packages")}
    for name in report["changed"]:
        yield names.get(name, (f"函数 {name}", f"function {name}"))
    settings = {key: value for key, value in env.items() if key.startswith("PCB_AOI_")}
    for key in sorted({*settings, *report["settings"]}):
        before, after = report["settings"].get(key, "-"), settings.get(key, "-")
        if before != after:
            yield (f"{key}：{before} → {after}", f"{key}: {before} -> {after}")
    if plan.gpu != report["gpu"]:
        yield ("改用 GPU", "the GPU is to be used")
    if set(plan.allow) != set(report["allow"]):
        yield (f"--allow {' '.join(plan.allow)}", f"--allow {' '.join(plan.allow)}")
    if set(plan.names) != set(report["names"]):
        added = " ".join(sorted(set(plan.names) - set(report["names"])))
        yield (f"函数 {added or '全部'}", f"functions: {added or 'all'}")
    for left in report["left_out"]:
        yield (f"再试一次 {left['folder']}", f"trying {left['folder']} again")
    for name, function in report["functions"].items():
        if function["state"] != "ready":
            yield (f"{name} 异常", f"{name} is {function['state']}")


def _ask(running: embedded_server.RunningServer) -> dict[str, Any]:
    report = running.report()
    if report is None:
        say.fatal(
            f"进程 {running.pid} 在运行，但 {running.url} 没有应答。运行 ./deploy.sh down，再 ./deploy.sh up",
            f"process {running.pid} runs, and {running.url} does not answer. Run ./deploy.sh down, then ./deploy.sh up",
        )
    return report


def _labels(options: Options, venv: Path) -> None:
    """Write the labels in the language asked for into the function folders; none asked for leaves them as they are."""
    program = venv / "bin" / "pcb-aoi"
    if options.language:
        shell.run([program, "sync", "--language", options.language], dry_run=options.dry_run, cwd=options.root)
    elif not options.dry_run and shell.output([program, "sync", "--check"], cwd=options.root) is None:
        say.warn(
            f"functions/ 中的标签与 labelmaps/ 不同：{program} sync",
            f"labels in functions/ are not those of labelmaps/: {program} sync",
        )


def _show(running: embedded_server.RunningServer, plan: Plan) -> int:
    result = embedded_table.show(running.pid, _ask(running))
    cvat_settings.show(plan.host, plan.port, plan.served)
    return result
