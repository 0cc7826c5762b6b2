"""nuclio on one machine's Docker engine: the functions as CVAT's compose file expects them.

Environment, beside the options: NUCTL_NAMESPACE (deploy/nuctl.py); READINESS_TIMEOUT, seconds a function may take to
load in place of function.yaml's; CUDA_STACK (deploy/cuda.py); mirrors and proxies (deploy/images.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy import (
    container,
    cuda,
    folders,
    history,
    images,
    loading,
    plan,
    preflight,
    rows,
    say,
    shell,
    smoke,
    versions,
)
from deploy.container import State
from deploy.nuctl import PROJECT, Nuctl, Record
from deploy.options import Options
from deploy.plan import Function
from deploy.rows import Row
from deploy.smoke import Verdict


def up(options: Options) -> int:
    """Build and deploy what has changed, and call it; returns 1 when a function failed, while the others serve."""
    preflight.tools(options)
    stack = cuda.stack(options)
    functions = folders.ready(options, stack)
    client = Nuctl.of(options)
    ports_and_disk(options, client, functions)
    images.ensure_base(options, functions[0].base, stack)
    cuda.in_containers(options, functions[0].base)
    plan.forget(options)
    client.create_project()
    return finish(options, [_from_source(options, client, function) for function in functions])


def ports_and_disk(options: Options, client: Nuctl, functions: Sequence[Function]) -> None:
    """Look for what the functions need, before anything is changed.

    Raises:
        Fatal: a port is taken, or the disk is full.
    """
    for function in functions:
        preflight.port_free(options, function, container.name(client.namespace, function.name))
    preflight.disk(options)


def _from_source(options: Options, client: Nuctl, function: Function) -> Row:
    words = ["--path", str(Path(function.file).parent), "--file", function.file]
    return deliver(options, client, function, [*words, "--no-pull"] if options.no_pull else words)


def deliver(options: Options, client: Nuctl, function: Function, words: Sequence[str]) -> Row:
    """Deploy one function by `nuctl deploy NAME WORDS...`, unless it runs with this very content; call it.

    What runs now is kept for `rollback` if it answers as it should.
    """
    if options.dry_run:
        return deploy(options, client, function, function.content, words)
    record, state = client.get(function.name), _settled(client, function)
    if record and state.word == "healthy":
        if record.content == function.content:
            say.info(f"{function.name} 没有变化", f"{function.name} is unchanged")
            return _called(options, client, function, "unchanged")
        good = versions.load(options, function).good
        if good is None or good.content != record.content:
            # Deployed from another checkout, perhaps, which kept what this one does not know: it is asked.
            _called(options, client, function, "replaced")
    say.info(f"部署 {function.name}", f"deploying {function.name}")
    return deploy(options, client, function, function.content, words)


def deploy(options: Options, client: Nuctl, function: Function, content: str, words: Sequence[str]) -> Row:
    """Deploy one function by `nuctl deploy NAME WORDS...`, wait until it has loaded, and call it as CVAT does."""
    command = client.deploy_words(function.name, content, *words)
    if options.dry_run:
        shell.run(command, dry_run=True)
        return Row(function.name, "dry-run")
    error = loading.load(client, function, command, plan.state(options) / f"{function.name}.log")
    if error:
        row = Row(function.name, "failed", str(function.port), function.image, remark=error)
    else:
        row = _called(options, client, function, "deployed")
    if row.failed and versions.load(options, function).good:
        cure = f"./deploy.sh rollback --platform local --function {function.folder}"
        say.warn(
            f"{function.name} 没有部署成功；回到能用的版本：{cure}",
            f"{function.name} failed; go back to the version that worked: {cure}",
        )
    return row


def _called(options: Options, client: Nuctl, function: Function, state: str) -> Row:
    # One that passes is a version to go back to.
    verdict, record = _call(options, function), client.get(function.name)
    if verdict.ok and record:
        versions.passed(options, function, record)
    image = record.image if record else function.image
    return _row(function, state if verdict.ok else "failed", image, verdict, verdict.remark)


def _call(options: Options, function: Function) -> Verdict:
    return smoke.call(f"http://127.0.0.1:{function.port}/", plan.samples(options, function))


def _row(function: Function, state: str, image: str, verdict: Verdict, remark: str) -> Row:
    provider, version, sha256, ms = verdict.provider, verdict.version, verdict.sha256, verdict.ms
    return Row(function.name, state, str(function.port), image, provider, version, sha256, ms, remark)


def _settled(client: Nuctl, function: Function) -> State:
    return container.settled(container.name(client.namespace, function.name), plan.patience(function))


def finish(options: Options, table: Sequence[Row]) -> int:
    """Print the table and CVAT's settings; returns 1 when a function failed."""
    if options.dry_run:
        return 0
    rows.show(table)
    say.info(
        "CVAT 用 docker compose 部署时：-f components/serverless/docker-compose.serverless.yml，不需要其他设置；"
        "否则在 cvat_server 和 cvat_worker_annotation 里设置：",
        "CVAT from docker compose needs -f components/serverless/docker-compose.serverless.yml and no more; otherwise "
        "set in cvat_server and cvat_worker_annotation:",
    )
    print("CVAT_SERVERLESS=1\nCVAT_NUCLIO_HOST=nuclio\nCVAT_NUCLIO_INVOKE_METHOD=direct", flush=True)
    if any(row.failed for row in table):
        say.fatal(
            "有函数没有部署成功，见上表；其余的照常服务", "some functions failed, see the table; the others serve"
        )
    return 0


def status(options: Options) -> int:
    """Ask nuclio, Docker and the port; say what CVAT would see, and what to do. Returns 1 when something is wrong."""
    preflight.tools(options)
    client = Nuctl.of(options)
    table, said, well = [], {}, True
    for function in plan.deployable(plan.known(options)):
        name = container.name(client.namespace, function.name)
        record, state, verdict = client.get(function.name), container.inspect(name), _call(options, function)
        cure = _cure(function, name, record, state, verdict)
        word = f"{record.state if record else 'absent'}/{state.word}"
        table.append(_row(function, word, record.image if record else "-", verdict, cure or verdict.remark))
        said[function.name] = verdict.about
        well = well and not cure
    rows.show(table)
    history.show(said)
    return 0 if well else 1


def _cure(function: Function, name: str, record: Record | None, state: State, verdict: Verdict) -> str:
    """Return what is wrong with a function and what mends it; nothing where all is well."""
    again, logs = f"./deploy.sh up --platform local --function {function.folder}", f"docker logs {name}"
    if record is None:
        return say.both(f"nuclio 不知道它，CVAT 看不到：{again}", f"unknown to nuclio, CVAT does not list it: {again}")
    if record.project != PROJECT:
        again = f"nuctl delete function {function.name}; {again}"
        zh, en = f"不在项目 {PROJECT} 里，CVAT 看不到", f"not in project {PROJECT}, CVAT does not list it"
        return say.both(f"{zh}：{again}", f"{en}: {again}")
    if state.status == "missing":
        zh, en = "容器没有了，CVAT 仍列出它，调用会失败", "its container is gone, CVAT lists it and calls fail"
        return say.both(f"{zh}：{again}", f"{en}: {again}")
    if state.status != "running":
        why = container.why_it_fell(name)
        zh, en = f"容器没有在运行（{state.status}）", f"its container is not running ({state.status})"
        return say.both(f"{zh}：{why}；{logs}", f"{en}: {why}; {logs}")
    if not verdict.ok:
        return say.both(f"不能正常回答：{verdict.remark}；{logs}", f"does not answer well: {verdict.remark}; {logs}")
    if state.health == "unhealthy":
        mend = f"{logs}; docker restart {name}"
        return say.both(f"Docker 认为它不健康：{mend}", f"Docker calls it unhealthy: {mend}")
    if record.state != "ready":
        return say.both(f"nuclio 认为它 {record.state}：{again}", f"nuclio calls it {record.state}: {again}")
    return ""


def down(options: Options) -> int:
    """Remove the functions; returns 1 when one is still there. Their images stay.

    Nothing waits for calls under way: nuclio takes 15 s to end, and CVAT, which does not repeat a frame, ends its run
    at the next one anyway.
    """
    tools, client = preflight.tools(options), Nuctl.of(options)
    left = [function.name for function in plan.known(options) if not _removed(client, function)]
    if left:
        store = preflight.helper_images(tools.nuctl, tools.arch)[0]
        names, probe = " ".join(left), f"docker run --rm {store} /bin/stat /"
        say.fatal(
            f"nuclio 仍有：{names}。nuctl 的辅助镜像缺少程序时，它说已删除却没有删：检查 {probe}；"
            f"重新拉取 docker pull {store}，再 down",
            f"nuclio still has {names}. nuctl says that it deleted and has not where its helper image lacks programs: "
            f"check {probe}; docker pull {store}, then down again",
        )
    if not options.dry_run:
        say.info(
            "函数已删除；镜像留着，docker image rm 可删",
            "functions are gone; their images stay, docker image rm removes them",
        )
    return 0


def _removed(client: Nuctl, function: Function) -> bool:
    name = container.name(client.namespace, function.name)
    if client.dry_run:
        return client.delete(function.name)
    if client.get(function.name):
        client.delete(function.name)
    if container.inspect(name).status != "missing":  # one that nuclio no longer knows
        shell.run(["docker", "rm", "--force", name], check=False)
    return client.get(function.name) is None and container.inspect(name).status == "missing"
