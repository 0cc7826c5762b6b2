#!/usr/bin/env python3
"""Stand-in for nuclio's nuctl: it drives the real Docker engine in the way that nuctl does.

For machines that cannot have the real one. It takes the real one's commands and flags and no others, reads a
function.yaml with the real one's keys and no others, writes the same kind of Dockerfile, asks for helper images by
the same names, runs containers with the same flags, labels and volumes, and keeps its store in the same volume.
`NUCLIO_STANDIN_VERSION` chooses the version it plays. With `--platform kube` there is no cluster to talk to: it
checks everything, and writes what it would create into the folder `NUCLIO_STANDIN_KUBE`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
import schema

VERSION = os.environ.get("NUCLIO_STANDIN_VERSION", "1.16.3")
MODERN = tuple(int(part) for part in VERSION.split(".")) >= (1, 15)
ONBUILD = f"quay.io/nuclio/handler-builder-python-onbuild:{VERSION}-amd64"
UHTTPC = "gcr.io/iguazio/uhttpc:0.0.3-amd64" if MODERN else "quay.io/nuclio/uhttpc:0.0.1-amd64"
STORE_IMAGE = f"gcr.io/iguazio/alpine:{'3.17' if VERSION == '1.13.0' else '3.20'}"
STORE, STORE_PATH = "nuclio-local-storage", "/etc/nuclio/store"
CONFIG_PATH = "/etc/nuclio/config/processor"

Config = dict[str, Any]


class NuctlError(Exception):
    """Ends nuctl with exit code 1."""


def main() -> None:
    args = parse_args()
    if args.command == "version":
        print(f'Client version:\n"Label: {VERSION}, Git commit: stand-in, OS: linux, Arch: amd64, Go version: none"')
        return
    platform: Local | Kube = Kube(args) if args.platform == "kube" else Local(args)
    try:
        args.run(platform, args)
    except NuctlError as error:
        print(f"Error - {error}", file=sys.stderr)
        sys.exit(1)


def parse_args() -> argparse.Namespace:
    root = argparse.ArgumentParser("nuctl", allow_abbrev=False)
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("-v", "--verbose", action="store_true")
    common.add_argument("--platform", choices=["kube", "local", "auto"], default="auto")
    common.add_argument("-n", "--namespace", default="nuclio")
    common.add_argument("-k", "--kubeconfig")
    common.add_argument("--concurrency", type=int)
    common.add_argument("--mask-sensitive-fields", action="store_true")
    commands = root.add_subparsers(dest="command", required=True)

    def command(parent: Any, name: str, run: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's own type
        parser: argparse.ArgumentParser = parent.add_parser(name, parents=[common], allow_abbrev=False)
        parser.set_defaults(run=run)
        return parser

    command(commands, "version", None)
    create = commands.add_parser("create").add_subparsers(required=True)
    project = command(create, "project", lambda platform, args: platform.create_project(args.name))
    project.add_argument("name")
    project.add_argument("--description")
    project.add_argument("--owner")
    get = commands.add_parser("get").add_subparsers(required=True)
    for kind in ("function", "project"):
        parser = command(get, kind, get_function if kind == "function" else get_project)
        parser.add_argument("name", nargs="?")
        parser.add_argument("-o", "--output", choices=["text", "wide", "json", "yaml"], default="text")
        if kind == "function":
            parser.add_argument("-l", "--labels")
    delete = commands.add_parser("delete").add_subparsers(required=True)
    parser = command(delete, "function", lambda platform, args: platform.delete(args.name))
    parser.add_argument("name")
    parser.add_argument("-f", "--force", action="store_true")
    invoke_parser = command(commands, "invoke", invoke)
    invoke_parser.add_argument("name")
    for flags in (("-m", "--method"), ("-b", "--body"), ("-c", "--content-type"), ("-t", "--timeout")):
        invoke_parser.add_argument(*flags)
    invoke_parser.add_argument("--raise-on-status", action="store_true")
    for name, run in (("build", build), ("deploy", deploy)):
        parser = command(commands, name, run)
        parser.add_argument("name", nargs="?")
        build_flags(parser)
        if name == "build":
            parser.add_argument("--output-image-file")
        else:
            deploy_flags(parser)
    return root.parse_args()


def build_flags(parser: argparse.ArgumentParser) -> None:
    for flags in (("-p", "--path"), ("-f", "--file"), ("-i", "--image"), ("-r", "--registry")):
        parser.add_argument(*flags)
    for name in ("source", "runtime", "handler", "base-image", "onbuild-image", "build-runtime-attrs"):
        parser.add_argument(f"--{name}")
    for name in ("build-code-entry-attrs", "code-entry-type", "build-command"):
        parser.add_argument(f"--{name}")
    for name in ("no-pull", "no-cleanup", "offline"):
        parser.add_argument(f"--{name}", action="store_true")


def deploy_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-l", "--labels")
    parser.add_argument("-e", "--env", action="append", default=[])
    parser.add_argument("-d", "--disable", action="store_true")
    parser.add_argument("--publish", action="store_true")
    for name in ("desc", "annotations", "nodeSelector", "nodeName", "priorityClassName", "preemptionPolicy"):
        parser.add_argument(f"--{name}")
    for name in ("replicas", "min-replicas", "max-replicas", "run-as-user", "run-as-group", "fsgroup", "target-cpu"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("data-bindings", "triggers", "http-trigger-service-type", "platform-config", "run-image"):
        parser.add_argument(f"--{name}")
    for name in ("run-registry", "runtime-attrs", "project-name", "logger-level", "input-image-file"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--readiness-timeout", type=int)
    for name in ("volume", "resource-limit", "resource-request"):
        parser.add_argument(f"--{name}", action="append", default=[])


# Commands


def get_function(platform: Local | Kube, args: argparse.Namespace) -> None:
    functions = platform.functions(args.name)
    if not functions:
        if args.name:
            raise NuctlError("No functions found")
        print("No functions found")  # even for -o json, and with exit code 0
    elif args.output in ("json", "yaml"):
        render(functions, args.output)
    else:
        print("  NAMESPACE | NAME | PROJECT | STATE | REPLICAS | NODE PORT ")
        for item in functions:
            meta, status = item["metadata"], item["status"]
            project = meta["labels"].get("nuclio.io/project-name")
            print(f"  {meta['namespace']} | {meta['name']} | {project} | {status['state']} | 1/1 | "
                  f"{status.get('httpPort', '')} ")  # fmt: skip


def get_project(platform: Local | Kube, args: argparse.Namespace) -> None:
    projects = [item for item in platform.projects() if args.name in (None, item["metadata"]["name"])]
    if not projects:
        if args.name:
            raise NuctlError("No projects found")
        print("No projects found")
    elif args.output in ("json", "yaml"):
        render(projects, args.output)
    else:
        for item in projects:
            print(f"  {item['metadata']['namespace']} | {item['metadata']['name']} ")


def render(items: list[Config], output: str) -> None:
    shown = items[0] if len(items) == 1 else items
    print(json.dumps(shown, indent=2) if output == "json" else yaml.safe_dump(shown, allow_unicode=True))


def invoke(platform: Local | Kube, args: argparse.Namespace) -> None:
    functions = platform.functions(args.name)
    if not functions:
        raise NuctlError("Function not found")
    body = args.body.encode() if args.body is not None else sys.stdin.buffer.read()
    request = urllib.request.Request(
        f"http://127.0.0.1:{functions[0]['status']['httpPort']}/",
        data=body or None,
        method=args.method or ("POST" if body else "GET"),
        headers={"Content-Type": args.content_type or "text/plain"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            print(response.read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
        if args.raise_on_status:
            raise NuctlError(f"Got unexpected response status code: {error.code}") from error


def build(platform: Local | Kube, args: argparse.Namespace) -> None:
    config = function_config(args)
    if args.offline:
        args.no_pull = True
    build_image(config, args)
    if args.output_image_file:
        docker("save", "--output", args.output_image_file, config["spec"]["image"])


def deploy(platform: Local | Kube, args: argparse.Namespace) -> None:
    config = function_config(args)
    if args.input_image_file:
        docker("load", "--input", args.input_image_file)
    platform.deploy(config, args)


def function_config(args: argparse.Namespace) -> Config:
    """Read --file (or function.yaml of --path), check it, and lay the flags over it."""
    config: Config = {"metadata": {}, "spec": {}}
    file = Path(args.file) if args.file else Path(args.path) / "function.yaml" if args.path else None
    if file is not None:
        try:
            config = yaml.safe_load(file.read_text("utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise NuctlError(f"Failed reading function config file: {error}") from error
    config.pop("status", None)
    problems = schema.problems(config)
    if problems:
        raise NuctlError(f"{file}: " + "; ".join(problems))
    meta, spec = config["metadata"], config["spec"]
    meta["name"] = args.name or meta.get("name") or ""
    meta["namespace"] = args.namespace
    if not meta["name"]:
        raise NuctlError("Function must have a name")
    for key in ("labels", "annotations"):
        pairs = getattr(args, key, None)
        meta[key] = (meta.get(key) or {}) | dict(pair.split("=", 1) for pair in pairs.split(",") if pairs)  \
            if pairs else meta.get(key) or {}  # fmt: skip
    if getattr(args, "project_name", None):
        meta["labels"]["nuclio.io/project-name"] = args.project_name
    meta["labels"].setdefault("nuclio.io/project-name", "default")
    for flag, key in (("runtime", "runtime"), ("handler", "handler"), ("desc", "description")):
        if getattr(args, flag, None):
            spec[key] = getattr(args, flag)
    for flag, key in (("min_replicas", "minReplicas"), ("max_replicas", "maxReplicas"), ("replicas", "replicas")):
        if getattr(args, flag, None) is not None:
            spec[key] = getattr(args, flag)
    for pair in getattr(args, "env", []):
        name, value = pair.split("=", 1)
        spec.setdefault("env", []).append({"name": name, "value": value})
    limits = spec.setdefault("resources", {}).setdefault("limits", {})
    limits.update(pair.split("=", 1) for pair in getattr(args, "resource_limit", []))
    settings = spec.setdefault("build", {})
    if args.image:
        settings["image"] = args.image
    if args.base_image:
        settings["baseImage"] = args.base_image
    if args.path:
        settings["path"] = args.path
    if getattr(args, "run_image", None):
        spec["image"] = args.run_image
    if getattr(args, "readiness_timeout", None):
        spec["readinessTimeoutSeconds"] = args.readiness_timeout
    return config


# Build


def needs_build(spec: Config) -> bool:
    """nuclio's own rule: anything to build from wins over a ready image."""
    settings = spec.get("build", {})
    wanted = any(settings.get(key) for key in ("functionSourceCode", "path", "image"))
    return settings.get("mode") != "neverBuild" and (wanted or not spec.get("image"))


def build_image(config: Config, args: argparse.Namespace) -> None:
    spec, settings = config["spec"], config["spec"]["build"]
    if not settings.get("path"):
        raise NuctlError("Failed to build: function path or source code must be given")
    name, _, tag = settings.get("image", f"nuclio/processor-{config['metadata']['name']}").partition(":")
    image = f"{name}:{tag or 'latest'}" if ":" not in tag else f"{name}:{tag}:latest"
    if not args.no_pull:
        for helper in (args.onbuild_image or ONBUILD, UHTTPC):
            docker("pull", helper)
    stage = Path(tempfile.mkdtemp(prefix="nuclio-build-"))
    try:
        copy_dir(Path(settings["path"]), stage / "handler")
        (stage / "Dockerfile.processor").write_text(dockerfile(spec, args), "utf-8")
        network = os.environ.get("NUCLIO_DOCKER_BUILD_NETWORK", "host")
        docker("build", "--network", network, "--force-rm", "--tag", image, "--file",
               str(stage / "Dockerfile.processor"), str(stage))  # fmt: skip
    finally:
        shutil.rmtree(stage)
    spec["image"] = image


def copy_dir(source: Path, target: Path) -> None:
    """Copy all files; like nuclio's copy, a link to a folder breaks it."""
    target.mkdir(parents=True)
    for item in sorted(source.iterdir()):
        if item.is_dir() and not item.is_symlink():
            copy_dir(item, target / item.name)
        elif item.is_dir():
            raise NuctlError(f"Failed to copy: read {item}: is a directory")
        else:
            shutil.copy(item, target / item.name)


def dockerfile(spec: Config, args: argparse.Namespace) -> str:
    settings = spec["build"]
    python = spec["runtime"].partition(":")[2] or ("3.12" if MODERN else "3.9")
    directives = settings.get("directives", {})
    interval = spec.get("platform", {}).get("attributes", {}).get("healthCheckInterval", "1s")
    wheels, force = "/opt/nuclio/whl", "--force-reinstall " if MODERN else ""
    pip = f"--no-index --find-links {wheels}"
    lines = [
        f"FROM {args.onbuild_image or ONBUILD} AS python-onbuild",
        f"FROM {UHTTPC} AS uhttpc",
        f"FROM {settings.get('baseImage') or f'python:{python}'}",
        *[f"{item['kind']} {item['value']}" for item in directives.get("preCopy", [])],
        "COPY --from=python-onbuild /home/nuclio/bin/processor /usr/local/bin/processor",
        "COPY --from=python-onbuild /home/nuclio/bin/py /opt/nuclio/",
        f"COPY --from=python-onbuild /home/nuclio/bin/py{python}-whl {wheels}",
        "COPY --from=uhttpc /home/nuclio/bin/uhttpc /usr/local/bin/uhttpc",
        "COPY handler /opt/nuclio",
        f"HEALTHCHECK --interval={interval} --timeout=3s CMD "
        "/usr/local/bin/uhttpc --url http://127.0.0.1:8082/ready || exit 1",
        f"RUN python {wheels}/$(basename {wheels}/pip-*.whl)/pip install pip {pip} "
        f"&& python -m pip install {force}nuclio-sdk msgpack {pip}",
        *[f"{item['kind']} {item['value']}" for item in directives.get("postCopy", [])],
        'CMD ["processor"]',
    ]
    return "\n".join(lines) + "\n"


# Platforms


class Local:
    """Functions as containers of the Docker engine, and their records in a volume."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._namespace = args.namespace
        docker("version")

    def create_project(self, name: str) -> None:
        self._write(f"projects/{name}", {"metadata": {"name": name, "namespace": self._namespace}, "spec": {}})
        print(f'Project created {{"Name": "{name}", "Namespace": "{self._namespace}"}}')

    def projects(self) -> list[Config]:
        return self._read("projects", None)

    def functions(self, name: str | None) -> list[Config]:
        return self._read("functions", name)

    def deploy(self, config: Config, args: argparse.Namespace) -> None:
        name, spec = config["metadata"]["name"], config["spec"]
        exists = bool(self.functions(name))
        if spec["build"].get("mode") == "neverBuild" and not exists:
            raise NuctlError("Non existing function cannot be created with neverBuild mode")
        project = config["metadata"]["labels"]["nuclio.io/project-name"]
        if project not in [item["metadata"]["name"] for item in self.projects()] and project != "default":
            raise NuctlError(f"Project {project} does not exist")
        try:
            if needs_build(spec):
                build_image(config, args)
            self._write(f"functions/{name}", config | {"status": {"state": "building"}})
            docker("rm", "--force", f"nuclio-{self._namespace}-{name}", check=False)
            status = self._start(config)
        except NuctlError as error:
            self._write(f"functions/{name}", config | {"status": {"state": "error", "message": str(error)[-4000:]}})
            raise
        self._write(f"functions/{name}", config | {"status": status})
        print(f'Function deploy complete {{"functionName": "{name}", "httpPort": {status["httpPort"]}}}')

    def _start(self, config: Config) -> Config:
        spec, name = config["spec"], config["metadata"]["name"]
        container = f"nuclio-{self._namespace}-{name}"
        docker("volume", "create", container)
        text = base64.b64encode(yaml.safe_dump(config, allow_unicode=True).encode()).decode()
        write = f'echo "{text}" | base64 -d | install -m 777 /dev/stdin {CONFIG_PATH}/processor.yaml'
        docker("run", "--rm", "--mount", f"type=volume,src={container},dst={CONFIG_PATH}",
               STORE_IMAGE, "sh", "-c", write)  # fmt: skip
        identity = docker("run", "--detach", "--name", container, *run_flags(config, container), spec["image"]).strip()
        self._await_health(identity, int(spec.get("readinessTimeoutSeconds") or 120))
        port = docker("port", identity, "8080/tcp", check=False).splitlines()
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", identity).strip()
        return {
            "state": "ready",
            "httpPort": int(port[0].rpartition(":")[2]) if port else 0,
            "containerImage": spec["image"],
            "internalInvocationUrls": [f"{address}:8080"],
        }

    def _await_health(self, identity: str, timeout_s: int) -> None:
        deadline, pause = time.monotonic() + timeout_s, 0.1
        state: dict[str, Any] = {}
        while time.monotonic() < deadline:
            state = json.loads(docker("inspect", "--format", "{{json .State}}", identity))
            if state.get("Health", {}).get("Status") == "healthy":
                return
            if state["Status"] in ("exited", "dead"):
                break
            time.sleep(pause)
            pause = min(pause * 2, 0.8)
        logs = docker("logs", identity, check=False, merge=True)[-6000:]
        raise NuctlError(f"Function wasn't ready in time ({state.get('Status')}). Logs:\n{logs}")

    def delete(self, name: str) -> None:
        container = f"nuclio-{self._namespace}-{name}"
        path = f"{STORE_PATH}/functions/{self._namespace}/{name}.json"
        # nuctl asks the store's image for `stat`. Without it, it takes the function for gone, and says so.
        if self._store("/bin/stat", path, check=False).returncode == 0:
            self._store("/bin/rm", path)
        docker("rm", "--force", container, check=False)
        docker("volume", "rm", "--force", container, check=False)
        print(f'Successfully deleted function {{"name": "{name}"}}')

    def _store(self, *command: str, check: bool = True, env: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command beside the store, in a container that is started when there is none."""
        reader = f"{STORE}-reader"
        line = ["docker", "exec", *(["--env", env] if env else []), reader, *command]
        result = subprocess.run(line, capture_output=True, text=True, check=False)
        if result.returncode and "No such container" in result.stderr:
            docker("run", "--detach", "--rm", "--name", reader, "--mount", f"type=volume,src={STORE},dst={STORE_PATH}",
                   STORE_IMAGE, "/bin/sh", "-c", "/bin/sleep 6h", check=False)  # fmt: skip
            result = subprocess.run(line, capture_output=True, text=True, check=False)
        if check and result.returncode:
            raise NuctlError(f"Failed to execute command: {' '.join(command)}: {result.stderr}")
        return result

    def _write(self, kind_and_name: str, record: Config) -> None:
        kind, _, name = kind_and_name.partition("/")
        folder = f"{STORE_PATH}/{kind}/{self._namespace}"
        text = base64.b64encode(json.dumps(record).encode()).decode()
        if len(text) > 2 * 1024 * 1024:
            raise NuctlError("bufio.Scanner: token too long")
        if VERSION == "1.13.0":
            write = f"mkdir -p {folder} && /bin/printenv NUCLIO_CONTENTS > {folder}/{name}.json"
            self._store("/bin/sh", "-c", write, env=f"NUCLIO_CONTENTS={text}")
            return
        # Its folder of work must be writable: this is where the record lies before it is copied.
        with tempfile.NamedTemporaryFile("w", dir=".", prefix="nuclio-contents-temp-file-") as file:
            file.write(text + "\n")
            file.flush()
            self._store("mkdir", "-p", folder)
            docker("cp", file.name, f"{STORE}-reader:{folder}/{name}.json")

    def _read(self, kind: str, name: str | None) -> list[Config]:
        pattern = f"{STORE_PATH}/{kind}/{self._namespace}/{f'{name}.json' if name else '*'}"
        result = self._store("/bin/sh", "-c", f"/bin/cat {pattern}", check=False)
        if result.returncode and "No such file" not in result.stderr:
            raise NuctlError(f"Failed to run cat command: {result.stderr}")
        return [json.loads(base64.b64decode(line)) for line in result.stdout.split()]


def run_flags(config: Config, container: str) -> list[str]:
    """The flags of `docker run` for one function."""
    meta, spec = config["metadata"], config["spec"]
    attributes = spec.get("platform", {}).get("attributes", {})
    trigger = next(iter(spec["triggers"].values()))
    port = trigger.get("attributes", {}).get("port")
    flags = ["--publish", f"{port}:8080" if port else "8080"]
    policy = attributes.get("restartPolicy", {})
    if policy.get("name"):
        retries = f":{policy['maximumRetryCount']}" if policy["name"] == "on-failure" else ""
        flags += ["--restart", policy["name"] + retries]
    if attributes.get("network"):
        flags += ["--net", attributes["network"]]
    limits = spec.get("resources", {}).get("limits", {})
    if limits.get("memory"):
        flags += ["--memory", str(schema.quantity(limits["memory"]))]
    if limits.get("cpu"):
        flags += ["--cpus", str(limits["cpu"])]
    if int(limits.get("nvidia.com/gpu", 0)) > 0:
        flags += ["--gpus", "all"]
    user = spec.get("securityContext", {}).get("runAsUser")
    if user is not None:
        flags += ["--user", f"{user}:{spec['securityContext'].get('runAsGroup', user)}"]
    for item in spec.get("env", []):
        if "'" in str(item.get("value", "")):
            raise NuctlError(f"env {item['name']}: nuclio puts values between single quotes unescaped")
        flags += ["--env", f"{item['name']}={item.get('value', '')}"]
    for item in spec.get("volumes", []):
        host = item["volume"].get("hostPath")
        if host:
            flags += ["--mount", f"type=bind,src={host['path']},dst={item['volumeMount']['mountPath']}"]
    labels = {
        "nuclio.io/platform": "local",
        "nuclio.io/namespace": meta["namespace"],
        "nuclio.io/function-name": meta["name"],
        "nuclio.io/function-spec": json.dumps(spec),
        "nuclio.io/annotations": json.dumps(meta["annotations"]),
        **meta["labels"],
    }
    for key, value in labels.items():
        flags += ["--label", f"{key}={value}"]
    return [*flags, "--mount", f"type=volume,src={container},dst={CONFIG_PATH},readonly"]


class Kube:
    """No cluster: what would be created lands in a folder."""

    def __init__(self, args: argparse.Namespace) -> None:
        if "NUCLIO_STANDIN_KUBE" not in os.environ:
            raise SystemExit("the stand-in has no cluster; set NUCLIO_STANDIN_KUBE to a folder")
        self._folder = Path(os.environ["NUCLIO_STANDIN_KUBE"]) / args.namespace

    def create_project(self, name: str) -> None:
        if (self._folder / "projects" / f"{name}.json").exists():
            raise NuctlError(f'nuclioprojects.nuclio.io "{name}" already exists')  # unlike the local platform
        self._write("projects", name, {"metadata": {"name": name, "namespace": self._folder.name}, "spec": {}})

    def projects(self) -> list[Config]:
        return self._read("projects")

    def functions(self, name: str | None) -> list[Config]:
        return [item for item in self._read("functions") if name in (None, item["metadata"]["name"])]

    def deploy(self, config: Config, args: argparse.Namespace) -> None:
        spec = config["spec"]
        if needs_build(spec) and not (args.registry or spec["build"].get("registry")):
            raise NuctlError("Registry is required when building on kube")
        registry = args.registry or spec["build"].get("registry")
        if needs_build(spec):
            spec["image"] = f"{registry}/{spec['build']['image']}"
        low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 1)
        if low > high:
            raise NuctlError("Min replicas must be less than or equal to max replicas")
        self._write("functions", config["metadata"]["name"], config | {"status": {"state": "ready"}})

    def delete(self, name: str) -> None:
        (self._folder / "functions" / f"{name}.json").unlink(missing_ok=True)

    def _write(self, kind: str, name: str, record: Config) -> None:
        (self._folder / kind).mkdir(parents=True, exist_ok=True)
        (self._folder / kind / f"{name}.json").write_text(json.dumps(record, indent=2), "utf-8")

    def _read(self, kind: str) -> list[Config]:
        return [json.loads(path.read_text("utf-8")) for path in sorted((self._folder / kind).glob("*.json"))]


def docker(*command: str, check: bool = True, stdin: str | None = None, merge: bool = False) -> str:
    """Run the docker CLI, as nuctl does for everything.

    Raises:
        NuctlError: it failed; carries its output.
    """
    source: Any = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    result = subprocess.run(["docker", *command], **source, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise NuctlError(f"docker {' '.join(command[:2])}: {result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout + (result.stderr if merge else "")


if __name__ == "__main__":
    main()
