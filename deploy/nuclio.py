"""What deploy.sh cannot say in shell: read function files, fingerprint content, render configurations, try a port.

Only the standard library at run time, for Python 3.10 on: an air-gapped machine has nothing else. `plan` alone needs
PyYAML, and runs in the project's virtual environment. Every answer for the shell is lines of tab-separated fields.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CONTENT = "pcb-aoi.io/content"
"""The annotation that holds the fingerprint of what a function was made from."""
TIMEOUT_S = 120
"""CVAT_NUCLIO_DEFAULT_TIMEOUT: what CVAT waits for one frame."""


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    plan_parser = commands.add_parser(
        "plan", help="one line a function: folder name port image base content file weights"
    )
    plan_parser.add_argument("--root", type=Path, required=True)
    plan_parser.add_argument("--gpu", action="store_true")
    plan_parser.add_argument("--stack", required=True)
    plan_parser.add_argument("folders", nargs="+")
    base_parser = commands.add_parser("base", help="fingerprint of the base image")
    base_parser.add_argument("--root", type=Path, required=True)
    base_parser.add_argument("--stack", required=True)
    render_parser = commands.add_parser("render", help="a configuration for a ready image: nothing to build")
    render_parser.add_argument("file", type=Path, help="what `nuctl get function -o json` printed, or `plan --json`")
    render_parser.add_argument("--image", required=True)
    stored_parser = commands.add_parser("stored", help="standard input: `nuctl get function -o json`")
    stored_parser.add_argument("field", choices=["content", "state", "image", "port", "project", "message"])
    port_parser = commands.add_parser("port-free")
    port_parser.add_argument("port", type=int)
    smoke_parser = commands.add_parser("smoke", help="one line: verdict provider version milliseconds remark")
    smoke_parser.add_argument("url")
    smoke_parser.add_argument("samples", type=Path)
    kube_parser = commands.add_parser("kube", help="a function file made ready for a cluster")
    kube_parser.add_argument("file", type=Path)
    kube_parser.add_argument("--image", required=True)
    kube_parser.add_argument("--min-replicas", type=int, default=1)
    kube_parser.add_argument("--max-replicas", type=int, default=1)
    kube_parser.add_argument("--gpu-resource", default="nvidia.com/gpu")
    kube_parser.add_argument("--gpu-mem-mib", type=int)
    kube_parser.add_argument("--pull-secret")
    kube_parser.add_argument("--node-selector", default="", help="key=value[,key=value]")
    json_parser = commands.add_parser("json", help="a YAML file as JSON")
    json_parser.add_argument("file", type=Path)
    args = parser.parse_args()
    return int(COMMANDS[args.command](args) or 0)


def plan(args: argparse.Namespace) -> None:
    for folder in args.folders:
        file = args.root / "functions" / folder / ("function-gpu.yaml" if args.gpu else "function.yaml")
        config = _yaml(file)
        spec = config["spec"]
        (trigger,) = spec["triggers"].values()
        content = fingerprint([file.parent], base_fingerprint(args.root, args.stack), file.name)
        weights = "no" if _yaml(file.parent / "model.yaml")["sha256"] is None else "yes"
        fields = [folder, config["metadata"]["name"], trigger["attributes"]["port"], spec["build"]["image"]]
        print(*fields, spec["build"]["baseImage"], content, file, weights, sep="\t")


def base(args: argparse.Namespace) -> None:
    print(base_fingerprint(args.root, args.stack))


def base_fingerprint(root: Path, stack: str) -> str:
    inputs = [root / "pcb_aoi", root / "pyproject.toml", root / "functions" / "Dockerfile"]
    return fingerprint([*inputs, root / "functions" / "requirements" / f"{stack}.txt"], stack)


def fingerprint(paths: list[Path], *more: str) -> str:
    """Hash names and contents of files and folders, so that equal content is never built twice."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(path.parent)}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def render(args: argparse.Namespace) -> None:
    config = json.loads(args.file.read_text("utf-8"))
    metadata, spec = config["metadata"], config["spec"]
    # Any of build.path, build.image and build.functionSourceCode would make nuctl build again, whatever spec.image is.
    spec.pop("build", None)
    spec["image"] = args.image
    keep = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if key in metadata}
    print(json.dumps({"metadata": keep, "spec": spec}, ensure_ascii=False, indent=2))


def stored(args: argparse.Namespace) -> None:
    text = sys.stdin.read()
    if "{" not in text:  # "No functions found" comes as plain text
        return
    # nuctl may log a line before the record.
    config, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    status = config.get("status", {})
    print(
        {
            "content": config["metadata"].get("annotations", {}).get(CONTENT, ""),
            "state": status.get("state") or "unknown",
            "image": config["spec"].get("image", ""),
            "port": status.get("httpPort", ""),
            "project": config["metadata"].get("labels", {}).get("nuclio.io/project-name", ""),
            "message": str(status.get("message", "")).strip().replace("\t", " ")[-2000:],
        }[args.field]
    )


def port_free(args: argparse.Namespace) -> int:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", args.port))
        except OSError:
            return 1
    return 0


def smoke(args: argparse.Namespace) -> int:
    """GET the function, then post a sample as CVAT does; its planted defects must come back."""
    try:
        about = json.loads(_call(args.url)[0])
        image, truth = _sample(args.samples)
        body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
        answer, seconds = _call(args.url, body)
        found, planted = _found(json.loads(answer), truth, dict(zip(about["slugs"], about["labels"], strict=True)))
        remark = f"{found}/{planted} planted defects" if planted else "no sample of its own"
        verdict = "ok" if found == planted or (planted and found >= (planted + 1) // 2) else "failed"
        print(verdict, about["provider"], about["version"], round(seconds * 1000), remark, sep="\t")
        return 0 if verdict == "ok" else 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        detail = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else ""
        print("failed", "-", "-", "-", " ".join(f"{error} {detail}".split())[:300], sep="\t")
        return 1


def _call(url: str, body: bytes | None = None) -> tuple[bytes, float]:
    # Proxies of the environment are for the world outside, and this is a port of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    started = time.perf_counter()
    with opener.open(request, timeout=TIMEOUT_S) as response:
        answer: bytes = response.read()
    return answer, time.perf_counter() - started


def _sample(folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the smallest sample with defects; a function without samples gets one white pixel."""
    truth = folder / "truth.json"
    if truth.exists():
        images = [image for image in json.loads(truth.read_text("utf-8"))["images"] if image["defects"]]
        smallest = min(images, key=lambda image: (folder / image["file"]).stat().st_size)
        return (folder / smallest["file"]).read_bytes(), smallest["defects"]
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
    return base64.b64decode(pixel), []


def _found(shapes: list[dict[str, Any]], truth: list[dict[str, Any]], names: dict[str, str]) -> tuple[int, int]:
    """Count the planted defects that a shape of their label covers at IoU 0.5."""
    if not isinstance(shapes, list):
        raise TypeError("the answer is not a list of shapes")
    hits = 0
    for defect in truth:
        name = names.get(defect["label"], defect["label"])
        hits += any(shape["label"] == name and _iou(shape["points"], defect["box"]) >= 0.5 for shape in shapes)
    return hits, len(truth)


def _iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    return inner / union if union else 0.0


def kube(args: argparse.Namespace) -> None:
    """Print a function file with what a cluster needs and one machine does not."""
    config = _yaml(args.file)
    spec = config["spec"]
    spec["minReplicas"], spec["maxReplicas"] = args.min_replicas, args.max_replicas
    # Tags of functions do not move: a node that has the image need not ask the registry.
    spec["imagePullPolicy"] = "IfNotPresent"
    spec["waitReadinessTimeoutBeforeFailure"] = True  # a GPU node may have to start, and to pull gigabytes
    if args.pull_secret:
        spec["imagePullSecrets"] = args.pull_secret
    if args.node_selector:
        spec["nodeSelector"] = dict(pair.split("=", 1) for pair in args.node_selector.split(","))
    limits = spec["resources"]["limits"]
    spec["resources"]["requests"] = {"cpu": "1", "memory": "1Gi"}
    if "nvidia.com/gpu" in limits and args.gpu_resource != "nvidia.com/gpu":
        limits[args.gpu_resource] = limits.pop("nvidia.com/gpu")
        # nuclio does this by itself for nvidia.com/gpu only: two pods would wait for one slice.
        spec["deploymentStrategy"] = {"type": "Recreate"}
    if args.gpu_mem_mib:
        spec["env"].append({"name": "PCB_AOI_GPU_MEM_MIB", "value": str(args.gpu_mem_mib)})
    (trigger,) = spec["triggers"].values()
    trigger["attributes"].pop(
        "port"
    )  # the dashboard reaches functions through their service; a node port would open them
    spec["build"]["image"] = args.image
    print(json.dumps(config, ensure_ascii=False, indent=2))


def to_json(args: argparse.Namespace) -> None:
    print(json.dumps(_yaml(args.file), ensure_ascii=False, indent=2))


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return loaded


COMMANDS: dict[str, Any] = {
    "plan": plan,
    "base": base,
    "render": render,
    "stored": stored,
    "port-free": port_free,
    "smoke": smoke,
    "kube": kube,
    "json": to_json,
}

if __name__ == "__main__":
    sys.exit(main())
