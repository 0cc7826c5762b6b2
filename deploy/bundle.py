"""One file for a site without a network: images for nuclio, or a wheelhouse for the embedded platform.

./deploy.sh bundle --platform local [--gpu] [--with-dashboard] [--output FILE]
./deploy.sh bundle --platform embedded [--gpu] [--output FILE]
./deploy.sh up --bundle FILE                                    on site; the file knows its platform
"""

from __future__ import annotations

import importlib
import json
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deploy import archive, cuda, environment, folders, images, local, lock, packages, plan, preflight, say, shell
from deploy.nuctl import Nuctl, ready_made
from deploy.options import Options
from deploy.plan import Function
from deploy.rows import Row

_IMAGES = "images.tar"


def create(options: Options) -> int:
    """Write a bundle for the platform named.

    Raises:
        Fatal: it could not be made.
    """
    if options.platform == "local":
        _create_local(options)
    elif options.platform == "embedded":
        _create_embedded(options)
    else:
        say.fatal(
            "离线包用于 --platform local 或 embedded；Kubernetes 请把镜像推到现场的仓库（--registry）",
            "bundles are for --platform local or embedded; for Kubernetes push the images to the site's registry "
            "(--registry)",
        )
    return 0


def install(options: Options) -> int:
    """Install what `create` wrote: no registry, no package index, no build. Returns 1 when a function failed.

    Raises:
        Fatal: the bundle is damaged, or not for this machine.
    """
    assert options.bundle is not None
    manifest = archive.read(options.bundle)
    made_for, made_by = manifest["machine"], manifest["python"]
    kind, gpu = manifest["platform"], manifest["gpu"]
    say.info(
        f"离线包：{kind}，{'GPU' if gpu else 'CPU'}，{made_for}，Python {made_by}",
        f"the bundle: {kind}, {'GPU' if gpu else 'CPU'}, {made_for}, Python {made_by}",
    )
    machine = platform.machine()
    if machine != made_for:
        say.fatal(
            f"离线包是为 {made_for} 做的，这台机器是 {machine}：在同样架构的联网机器上重做",
            f"the bundle was made for {made_for}, this machine is {machine}: make it on a machine of this kind",
        )
    options = replace(options, platform=kind, gpu=gpu)
    return _install_local(options, manifest) if kind == "local" else _install_embedded(options)


def _output(options: Options) -> Path:
    name = f"pcb-aoi-{options.platform}-{'gpu' if options.gpu else 'cpu'}.tar"
    return options.output or options.root / "dist" / name


@contextmanager
def _work(beside: Path, options: Options) -> Iterator[Path]:
    # Gigabytes: on the disk where they will stay, not in /tmp.
    if options.dry_run:
        yield beside / "bundle"
        return
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=beside) as folder:
        yield Path(folder)


def _pack(options: Options, folder: Path, facts: dict[str, Any]) -> None:
    output = _output(options)
    if options.dry_run:
        shell.run(["tar", "-C", folder, "-cf", output, "."], dry_run=True)
    else:
        archive.write(output, folder, {"platform": options.platform, "gpu": options.gpu, **facts})


def _create_local(options: Options) -> None:
    """Build every function's image, without deploying it, and save all images that a site needs."""
    tools = preflight.tools(options)
    stack = cuda.stack(options)
    functions = folders.ready(options, stack)
    preflight.disk(options)
    images.ensure_base(options, functions[0].base, stack)
    client = Nuctl.of(options)
    for function in functions:
        say.info(f"构建 {function.name}", f"building {function.name}")
        source = Path(function.file).parent
        if not client.build(function, source, *(["--no-pull"] if options.no_pull else [])):
            say.fatal(f"{function.name} 没有构建成功", f"{function.name} was not built")
    helpers = preflight.helper_images(tools.nuctl, tools.arch)
    if options.with_dashboard:
        helpers.append(f"quay.io/nuclio/dashboard:{tools.nuctl}-{tools.arch}")
    for image in helpers:
        if shell.output(["docker", "image", "inspect", image]) is None:
            shell.run(["docker", "pull", image], dry_run=options.dry_run)
    saved = [*(function.image for function in functions), functions[0].base, *helpers]
    with _work(_output(options).parent, options) as work:
        say.info(f"保存 {len(saved)} 个镜像", f"saving {len(saved)} images")
        shell.run(["docker", "save", "--output", work / _IMAGES, *saved], dry_run=options.dry_run)
        for function in functions:
            samples = options.root / "samples" / function.folder
            if samples.is_dir() and not options.dry_run:
                shutil.copytree(samples, work / "samples" / function.folder)
        facts = {"nuclio": tools.nuctl, "python": "-", "images": saved, "functions": [asdict(f) for f in functions]}
        _pack(options, work, facts)


def _create_embedded(options: Options) -> None:
    """Wheels for the embedded platform: collected here, installed there by pip without an index."""
    extras = environment.extras(options.gpu)
    venv = environment.ensure(options.root, options.gpu, extras, dry_run=options.dry_run, cwd=options.cwd)
    python = venv / "bin" / "python"
    with _work(_output(options).parent, options) as work:
        say.info("下载 Python 包", "downloading Python packages")
        words: list[str | Path] = ["download", "--quiet", "--disable-pip-version-check", "--dest", work / "wheels"]
        words += ["--require-hashes", "-r", environment.locked(options.root, options.gpu)]
        packages.pip(python, words, root=options.root, cwd=options.cwd, dry_run=options.dry_run)
        version = shell.output([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], cwd=Path("/"))
        _pack(options, work, {"python": version})


def _install_embedded(options: Options) -> int:
    assert options.bundle is not None
    with _work(options.state, options) as work:
        if not options.dry_run:
            archive.unpack(options.bundle, work)
        environment.ensure(
            options.root, options.gpu, environment.extras(options.gpu), dry_run=options.dry_run,
            wheels=work / "wheels", cwd=options.cwd,
        )  # fmt: skip
    return int(importlib.import_module("deploy.embedded").up(replace(options, bundle=None)))


def _install_local(options: Options, manifest: dict[str, Any]) -> int:
    assert options.bundle is not None
    tools, wanted = preflight.tools(options), manifest["nuclio"]
    if tools.nuctl != wanted and not options.dry_run:
        say.fatal(
            f"离线包是为 nuclio {wanted} 做的，本机 nuctl 是 {tools.nuctl}。请换 nuctl，或用本机的版本重做离线包",
            f"the bundle is for nuclio {wanted}, nuctl here is {tools.nuctl}. "
            "Change nuctl, or make the bundle with this version",
        )
    brought = [Function(**fields) for fields in manifest["functions"]]
    functions, client = plan.chosen(brought, options), Nuctl.of(options)
    local.ports_and_disk(options, client, functions)
    say.info("载入镜像", "loading the images")
    _load(options)
    if not options.dry_run:
        archive.unpack(options.bundle, plan.state(options), leave=_IMAGES)
        plan.remember(options, brought)
    client.create_project()
    return local.finish(options, [_deliver(options, client, function) for function in functions])


def _deliver(options: Options, client: Nuctl, function: Function) -> Row:
    file = plan.state(options) / f"{function.name}.ready.json"
    if not options.dry_run:
        lock.write(file, json.dumps(ready_made(function.config, function.image), ensure_ascii=False))
    return local.deliver(options, client, function, ["--file", str(file)])


def _load(options: Options) -> None:
    assert options.bundle is not None
    if options.dry_run:
        print(f"+ tar -xOf {shell.quoted([options.bundle])} {_IMAGES} | docker load --quiet", flush=True)
        return
    with subprocess.Popen(["docker", "load", "--quiet"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # docker has said why
            archive.stream(options.bundle, _IMAGES, process.stdin)
    if process.returncode:
        say.fatal("镜像没有载入，原因见上", "the images were not loaded, see above")
