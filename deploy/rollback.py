"""Go back to the version that can be trusted: from a bad one to the last good one, from a good one a step back."""

from __future__ import annotations

import json

from deploy import kube, local, lock, plan, preflight, rows, say, shell, versions
from deploy.nuctl import Nuctl, ready_made
from deploy.options import Options
from deploy.plan import Function
from deploy.rows import Row
from deploy.versions import Version


def rollback(options: Options) -> int:
    """Deploy what is kept, and call it. Doing it twice comes back. Returns 1 when a function failed or nothing is kept.

    Raises:
        Fatal: the embedded platform keeps no versions.
    """
    if options.platform not in ("local", "kube"):
        say.fatal(
            "rollback 用于 --platform local 或 kube；embedded 请换回旧的 model.onnx 和 model.yaml 再 up",
            "rollback is for --platform local or kube; for embedded put the old model.onnx and model.yaml back, "
            "then up",
        )
    preflight.tools(options)
    client, table, missing = Nuctl.of(options), [], []
    for function in plan.known(options):
        version = _target(options, client, function)
        if version is None:
            say.warn(f"{function.name}：没有更早的版本", f"{function.name}: no earlier version is kept")
            missing.append(function)
        else:
            table.append(_deploy(options, client, function, version))
    if table and not options.dry_run:
        rows.show(table)
    return int(any(row.failed for row in table) or bool(missing and (options.functions or not table)))


def _target(options: Options, client: Nuctl, function: Function) -> Version | None:
    history = versions.load(options, function)
    if history.good is None:
        return None
    record = client.get(function.name)
    return history.target(record.content if record else "")


def _deploy(options: Options, client: Nuctl, function: Function, version: Version) -> Row:
    say.info(f"{function.name}：回到 {version.image}", f"{function.name}: back to {version.image}")
    if (
        options.platform == "local"
        and not options.dry_run
        and shell.output(["docker", "image", "inspect", version.image]) is None
    ):
        return Row(
            function.name, "failed", image=version.image, remark=say.both("镜像已被删除", "its image was removed")
        )
    file = plan.state(options) / f"{options.platform}-{function.name}.rollback.json"
    if not options.dry_run:
        lock.write(file, json.dumps(ready_made(version.config, version.image), ensure_ascii=False))
    deploy = local.deploy if options.platform == "local" else kube.deploy
    return deploy(options, client, function, version.content, ["--file", str(file)])
