"""The lint of function.yaml and function-gpu.yaml: nuclio ignores a mistyped key, and CVAT stumbles over the rest.

The keys below are nuclio's (`functionconfig.Config`), as far as a detector for CVAT has use for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pcb_aoi.config.function_file import FunctionFile
from pcb_aoi.config.generated import offered
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.errors import ConfigError

# A dict is a mapping with these keys, `ANY` a free mapping or value, a list [x] a list of x.
ANY = object()
_RESOURCES = {"cpu": ANY, "memory": ANY, "nvidia.com/gpu": ANY}
_DIRECTIVE = {"kind": ANY, "value": ANY}
_ALLOWED: dict[str, Any] = {
    "apiVersion": ANY,
    "kind": ANY,
    "metadata": {
        "name": ANY,
        "namespace": ANY,
        "labels": ANY,
        "annotations": {
            "name": ANY,
            "type": ANY,
            "spec": ANY,
            "version": ANY,
            "framework": ANY,
            "pcb-aoi/content": ANY,
        },
    },
    "spec": {
        "description": ANY,
        "runtime": ANY,
        "handler": ANY,
        "eventTimeout": ANY,
        "readinessTimeoutSeconds": ANY,
        "waitReadinessTimeoutBeforeFailure": ANY,
        "env": [{"name": ANY, "value": ANY}],
        "image": ANY,
        "imagePullPolicy": ANY,
        "imagePullSecrets": ANY,
        "resources": {"limits": _RESOURCES, "requests": _RESOURCES},
        "replicas": ANY,
        "minReplicas": ANY,
        "maxReplicas": ANY,
        "nodeSelector": ANY,
        "tolerations": ANY,
        "affinity": ANY,
        "priorityClassName": ANY,
        "deploymentStrategy": ANY,
        "securityContext": ANY,
        "serviceAccount": ANY,
        "loggerSinks": [{"level": ANY, "sink": ANY}],
        "volumes": [ANY],
        "build": {
            "image": ANY,
            "baseImage": ANY,
            "registry": ANY,
            "directives": {"preCopy": [_DIRECTIVE], "postCopy": [_DIRECTIVE]},  # no commands: they would replace these
            "args": ANY,
            "flags": ANY,
        },
        "triggers": {
            "*": {
                "kind": ANY,
                "name": ANY,
                "numWorkers": ANY,
                "maxWorkers": ANY,
                "workerAvailabilityTimeoutMilliseconds": ANY,
                "attributes": {"port": ANY, "maxRequestBodySize": ANY, "ingresses": ANY, "serviceType": ANY},
            }
        },
        "platform": {
            "attributes": {"restartPolicy": {"name": ANY}, "healthCheckInterval": ANY, "network": ANY},
        },
    },
}
_MIN_BODY = 256 * 1024 * 1024
READY_PROBE = (
    "CMD python -IS -c \"import socket, sys; s = socket.create_connection(('127.0.0.1', 8082), 2); "
    "s.sendall(b'GET /ready HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))\""
)
"""The health check's command: 0 when the processor says that every worker has loaded its model, else 1."""


def _check_keys(where: str, data: object, allowed: object) -> None:
    if allowed is ANY:
        return
    if isinstance(allowed, list):
        if not isinstance(data, list):
            raise ConfigError(f"{where}: expected a list, got {type(data).__name__}")
        for i, item in enumerate(data):
            _check_keys(f"{where}[{i}]", item, allowed[0])
        return
    assert isinstance(allowed, dict)
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected a mapping, got {type(data).__name__}")
    for key, value in data.items():
        below = allowed.get(key, allowed.get("*"))
        if below is None:
            raise ConfigError(f"{where}: unknown key {key!r}, which nuclio would ignore; known: {', '.join(allowed)}")
        _check_keys(f"{where}: {key}", value, below)


def check(path: Path, labelmap: Labelmap, config: ModelConfig) -> None:
    """Check one function file against nuclio's and CVAT's rules, its labelmap and its model.yaml.

    One malformed spec empties CVAT's Models page for everybody, so this is what must hold before a deployment.

    Raises:
        ConfigError: the first rule broken; names file and key.
    """
    file = FunctionFile.load(path)
    _check_keys(str(path), file.data, _ALLOWED)
    gpu, language = path.name == "function-gpu.yaml", config.language
    rules = (
        (("metadata", "name"), labelmap.id),
        (("metadata", "labels", "nuclio.io/project-name"), "cvat"),
        (("metadata", "annotations", "name"), labelmap.name.get(language)),
        (("metadata", "annotations", "type"), "detector"),
        (("spec", "description"), labelmap.description.get(language)),
        (("spec", "handler"), "main:handler"),
    )
    for keys, wanted in rules:
        if (found := _at(path, file.data, *keys)) != wanted:
            raise ConfigError(f"{path}: {': '.join(keys)} must be {wanted!r}, is {found!r}")
    _check_spec(path, _at(path, file.data, "metadata", "annotations", "spec"), offered(labelmap, config), config)
    _check_trigger(path, file.http_triggers, labelmap.port)
    _check_health(path, _at(path, file.data, "spec", "build"))
    env = file.env
    wanted = "cuda" if gpu else "cpu"
    if env.get("PCB_AOI_DEVICE") != wanted:
        raise ConfigError(f"{path}: env PCB_AOI_DEVICE must be {wanted!r}, is {env.get('PCB_AOI_DEVICE')!r}")
    for name, value in env.items():
        # nuclio's local platform passes them to a shell in single quotes, unescaped.
        if not isinstance(value, str) or "'" in value:
            raise ConfigError(f"{path}: env {name} must be text in quotes, without a single quote in it")
    limits = file.spec.get("resources", {}).get("limits", {})
    if gpu != (limits.get("nvidia.com/gpu", 0) >= 1):
        raise ConfigError(f"{path}: resources: limits: nvidia.com/gpu must be {'1' if gpu else 'absent'}")


def _at(path: Path, data: Any, *keys: str) -> Any:  # noqa: ANN401 - a value from YAML
    for i, key in enumerate(keys):
        if not isinstance(data, dict) or key not in data:
            raise ConfigError(f"{path}: missing key {': '.join(keys[: i + 1])}")
        data = data[key]
    return data


def _check_spec(path: Path, text: object, labelmap: Labelmap, config: ModelConfig) -> None:
    """CVAT parses the spec without a safety net: bad JSON or a missing key is HTTP 500 for the whole list."""
    try:
        spec = json.loads(str(text))
    except ValueError as error:
        raise ConfigError(f"{path}: annotations: spec is not JSON: {error}") from None
    if spec != labelmap.cvat_spec(config.language, config.score):
        raise ConfigError(f"{path}: annotations: spec differs from the labelmap and model.yaml; run `pcb-aoi sync`")


def _check_trigger(path: Path, http: list[dict[str, Any]], port: int) -> None:
    if len(http) != 1:
        raise ConfigError(f"{path}: spec: triggers must hold one trigger of kind http, has {len(http)}")
    trigger = http[0]
    if trigger.get("numWorkers") != trigger.get("maxWorkers"):
        raise ConfigError(
            f"{path}: numWorkers and maxWorkers are one setting under two names; give both the same value"
        )
    attributes = trigger.get("attributes", {})
    if attributes.get("port") != port:
        raise ConfigError(f"{path}: trigger port must be {port}, as in the labelmap, is {attributes.get('port')!r}")
    if attributes.get("maxRequestBodySize", 0) < _MIN_BODY:
        raise ConfigError(f"{path}: maxRequestBodySize must be at least {_MIN_BODY}; nuclio's default refuses boards")


def _check_health(path: Path, build: dict[str, Any]) -> None:
    """nuclio's own check takes any answer of a starting processor for health; the last HEALTHCHECK is the one used."""
    directives = build.get("directives", {}).get("postCopy", [])
    checks = [str(item.get("value", "")) for item in directives if str(item.get("kind")).upper() == "HEALTHCHECK"]
    if not checks or not checks[-1].endswith(READY_PROBE):
        raise ConfigError(
            f"{path}: 没有等模型加载完的健康检查 / no health check that waits for the model: spec: build: directives: "
            f"postCopy needs kind HEALTHCHECK with a value that ends in: {READY_PROBE}"
        )
