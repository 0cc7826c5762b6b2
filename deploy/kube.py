"""nuclio on Kubernetes: images built here and pushed to a registry, replicas and GPUs by the cluster.

Environment, beside the options and those of deploy/local.py:
  KUBE_MIN_REPLICAS KUBE_MAX_REPLICAS   pods of each function (default 1 and 1)
  KUBE_GPU_RESOURCE   nvidia.com/gpu; or a MIG slice such as nvidia.com/mig-1g.10gb
  KUBE_GPU_MEM_MIB    limit of each function's GPU memory, where time-slicing lets several share one card
  KUBE_NODE_SELECTOR  key=value[,key=value]
  KUBE_PULL_SECRET    name of a docker-registry secret in the namespace
  NUCTL_NAMESPACE     the namespace of CVAT's release: CVAT lists the functions there and nowhere else
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import cuda, folders, images, lock, plan, preflight, rows, say, shell, versions
from deploy.nuctl import Nuctl
from deploy.options import Options
from deploy.plan import Function
from deploy.rows import Row

_GPU = "nvidia.com/gpu"


def up(options: Options) -> int:
    """Build, push and deploy what has changed; returns 1 when a function failed.

    Raises:
        Fatal: registry or namespace are not named, or the machine is not ready.
    """
    if not options.registry:
        say.fatal(
            "请用 --registry 指定集群能拉取的镜像仓库，例如 registry.example.com/pcb",
            "name the registry that the cluster pulls from: --registry registry.example.com/pcb",
        )
    if not os.environ.get("NUCTL_NAMESPACE"):
        say.fatal(
            "请设置 NUCTL_NAMESPACE 为 CVAT 所在的命名空间", "set NUCTL_NAMESPACE to the namespace of CVAT's release"
        )
    preflight.tools(options)
    stack = cuda.stack(options, default="cuda13")  # the nodes' driver cannot be seen from here
    functions = folders.ready(options, stack)
    images.ensure_base(options, functions[0].base, stack)
    client = Nuctl.of(options)
    client.create_project()
    table = [_deliver(options, client, function) for function in functions]
    if options.dry_run:
        return 0
    rows.show(table)
    say.info(
        "CVAT 的 Helm chart：nuclio.enabled=true，函数必须在同一命名空间；CVAT 经 dashboard 调用函数，不需要开放端口",
        "CVAT's Helm chart: nuclio.enabled=true, and the functions in the same namespace; CVAT calls them through the "
        "dashboard, no port is opened",
    )
    if any(row.failed for row in table):
        say.fatal("有函数没有部署成功，见上表", "some functions failed, see the table")
    return 0


def _deliver(options: Options, client: Nuctl, function: Function) -> Row:
    # A tag never moves: nodes keep what they have pulled, and rollback finds the old image in the registry.
    config = rendered(replace(function, image=f"{function.image}-{function.content}"), os.environ)
    # Other replicas, another node or card: deployed again, from the same image.
    content = plan.fingerprint([], function.content, json.dumps(config))
    file = plan.state(options) / f"kube-{function.name}.rendered.json"
    if not options.dry_run:
        record = client.get(function.name)
        if record and record.content == content and record.state == "ready":
            say.info(f"{function.name} 没有变化", f"{function.name} is unchanged")
            versions.passed(options, function, record)
            return Row(function.name, "unchanged", image=record.image)
        lock.write(file, json.dumps(config, ensure_ascii=False, indent=1))
        say.info(f"部署 {function.name}", f"deploying {function.name}")
    words = ["--path", str(Path(function.file).parent), "--file", str(file), "--registry", options.registry]
    return deploy(options, client, function, content, [*words, "--no-pull"] if options.no_pull else words)


def deploy(options: Options, client: Nuctl, function: Function, content: str, words: Sequence[str]) -> Row:
    """Deploy one function by `nuctl deploy NAME WORDS...`. nuctl waits for its pods; no port is open to call it."""
    command = client.deploy_words(function.name, content, *words)
    if options.dry_run:
        shell.run(command, dry_run=True)
        return Row(function.name, "dry-run")
    log = plan.state(options) / f"{function.name}.log"
    with client.started(command, log) as process:
        process.wait()
    record = client.get(function.name)
    if process.returncode == 0 and record and record.state == "ready":
        versions.passed(options, function, record)
        return Row(function.name, "deployed", image=record.image)
    message = record.message[-200:] if record else ""
    return Row(function.name, "failed", image=record.image if record else "-", remark=f"{message} {log}".strip())


def rendered(function: Function, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the function file with what a cluster needs and one machine does not.

    Raises:
        Fatal: a variable of the environment is not what it should be.
    """
    config = copy.deepcopy(function.config)
    spec = config["spec"]
    spec["minReplicas"] = _number(environment, "KUBE_MIN_REPLICAS", 1)
    spec["maxReplicas"] = _number(environment, "KUBE_MAX_REPLICAS", 1)
    # Tags of functions do not move: a node that has the image need not ask the registry.
    spec["imagePullPolicy"] = "IfNotPresent"
    spec["waitReadinessTimeoutBeforeFailure"] = True  # a GPU node may have to start, and to pull gigabytes
    if secret := environment.get("KUBE_PULL_SECRET"):
        spec["imagePullSecrets"] = secret
    if selector := environment.get("KUBE_NODE_SELECTOR"):
        pairs = [pair.partition("=") for pair in selector.split(",")]
        if not all(key and equals for key, equals, _ in pairs):
            say.fatal(
                f"KUBE_NODE_SELECTOR 应为 key=value[,key=value]：{selector}",
                f"KUBE_NODE_SELECTOR must be key=value[,key=value]: {selector}",
            )
        spec["nodeSelector"] = {key: value for key, _, value in pairs}
    limits = spec["resources"]["limits"]
    spec["resources"]["requests"] = {"cpu": "1", "memory": "1Gi"}
    resource = environment.get("KUBE_GPU_RESOURCE") or _GPU
    if _GPU in limits and resource != _GPU:
        limits[resource] = limits.pop(_GPU)
        # nuclio does this by itself for nvidia.com/gpu only: two pods would wait for one slice.
        spec["deploymentStrategy"] = {"type": "Recreate"}
    if environment.get("KUBE_GPU_MEM_MIB"):
        memory = str(_number(environment, "KUBE_GPU_MEM_MIB", 0))
        spec["env"].append({"name": "PCB_AOI_GPU_MEM_MIB", "value": memory})
    (trigger,) = spec["triggers"].values()
    # The dashboard reaches functions through their service; a node port would open them.
    trigger["attributes"].pop("port")
    spec["build"]["image"] = function.image
    return config


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdecimal():
        say.fatal(f"{name} 应为整数：{value}", f"{name} must be a whole number: {value}")
    return int(value)


def status(options: Options) -> int:
    """Ask nuclio for the state of each function; returns 1 when one is not ready."""
    preflight.tools(options)
    client, table = Nuctl.of(options), []
    for function in plan.deployable(plan.known(options)):
        record = client.get(function.name)
        state, image = (record.state, record.image) if record else ("absent", "-")
        table.append(Row(function.name, state, image=image, remark=(record.message[:200] if record else "") or "-"))
    rows.show(table)
    if all(row.state == "ready" for row in table):
        return 0
    see = f"kubectl -n {client.namespace} get pods,events | grep nuclio"
    say.info(f"原因：{see}", f"the cause: {see}")
    return 1


def down(options: Options) -> int:
    """Remove the functions; returns 1 when one is still there. Their images stay in the registry."""
    preflight.tools(options)
    client = Nuctl.of(options)
    left = [function.name for function in plan.known(options) if not _removed(client, function)]
    if left:
        names, see = " ".join(left), f"kubectl -n {client.namespace} get nucliofunctions"
        say.fatal(f"没有删除：{names}。查看：{see}", f"not removed: {names}; see {see}")
    if not options.dry_run:
        say.info("函数已删除；镜像留在仓库里", "the functions are gone; their images stay in the registry")
    return 0


def _removed(client: Nuctl, function: Function) -> bool:
    if client.dry_run:
        return client.delete(function.name)
    return not client.get(function.name) or (client.delete(function.name) and client.get(function.name) is None)
