"""The keys of a nuclio function configuration. nuclio ignores a key that it does not know; this does not."""

from __future__ import annotations

import re
from typing import Any


def _scalars(names: str) -> dict[str, None]:
    return dict.fromkeys(names.split())


ANY: dict[str, Any] = {"*": None}
ENV = [{"name": None, "value": None, "valueFrom": ANY}]
DIRECTIVES = [{"kind": None, "value": None}]

CONFIG: dict[str, Any] = {
    "apiVersion": None,
    "kind": None,
    "metadata": {"name": None, "namespace": None, "labels": ANY, "annotations": ANY, "resourceVersion": None},
    "spec": {
        **_scalars(
            "description handler runtime image replicas minReplicas maxReplicas targetCPU runRegistry "
            "imagePullSecrets readinessTimeoutSeconds serviceType imagePullPolicy serviceAccount disable publish "
            "disableDefaultHTTPTrigger disableSensitiveFieldsMasking nodeName priorityClassName preemptionPolicy "
            "preemptionMode hostIPC waitReadinessTimeoutBeforeFailure eventTimeout version alias"
        ),
        "env": ENV,
        "envFrom": [ANY],
        "resources": {"requests": ANY, "limits": ANY},
        "triggers": {
            "*": {
                **_scalars(
                    "name kind class numWorkers maxWorkers workerAvailabilityTimeoutMilliseconds url username "
                    "password disabled workerTerminationTimeout"
                ),
                "annotations": ANY,
                "batch": {"mode": None, "batchSize": None, "timeout": None},
                "attributes": {
                    **_scalars(
                        "port maxRequestBodySize readBufferSize reduceMemoryUsage disablePortPublishing serviceType "
                        "mode"
                    ),
                    "cors": ANY,
                    "ingresses": ANY,
                    "async": ANY,
                },
            }
        },
        "volumes": [{"volume": ANY, "volumeMount": ANY}],
        "build": {
            **_scalars(
                "path functionSourceCode functionConfigPath tempDir registry baseImageRegistry image "
                "noBaseImagesPull noCache noCleanup baseImage onbuildImage offline codeEntryType "
                "buildTimeoutSeconds mode builderServiceAccount"
            ),
            "commands": None,
            "directives": {"preCopy": DIRECTIVES, "postCopy": DIRECTIVES},
            "dependencies": None,
            "runtimeAttributes": ANY,
            "codeEntryAttributes": ANY,
            "args": ANY,
            "flags": None,
        },
        "platform": {
            "attributes": {
                "network": None,
                "restartPolicy": {"name": None, "maximumRetryCount": None},
                "healthCheckInterval": None,
                "mountMode": None,
                "processorMountMode": None,
            }
        },
        "runtimeAttributes": ANY,
        "loggerSinks": [{"level": None, "sink": None}],
        "securityContext": ANY,
        "scaleToZero": {"scaleResources": [{"metricName": None, "windowSize": None, "threshold": None}]},
        "devices": None,
        "affinity": ANY,
        "nodeSelector": ANY,
        "tolerations": [ANY],
        "deploymentStrategy": ANY,
        "customScalingMetricSpecs": [ANY],
        "autoScaleMetrics": [ANY],
        "sidecars": [ANY],
        "initContainers": [ANY],
    },
}


def problems(config: object) -> list[str]:
    """Return what is wrong with a configuration, one line each; none means that nuclio would take all of it."""
    found = list(_unknown_keys(config, CONFIG, ""))
    if found or not isinstance(config, dict):
        return found or ["not a mapping"]
    spec = config.get("spec", {})
    for key in ("handler", "runtime"):
        if not isinstance(spec.get(key), str):
            found.append(f"spec.{key} is missing")
    if not re.fullmatch(r"python:3\.(9|10|11|12)", str(spec.get("runtime"))):
        found.append(f"spec.runtime: unsupported runtime {spec.get('runtime')!r}")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", str(config.get("metadata", {}).get("name"))):
        found.append("metadata.name must be a DNS label")
    kinds = [trigger.get("kind") for trigger in spec.get("triggers", {}).values()]
    if kinds.count("http") > 1:
        found.append("There's more than one http trigger (unsupported)")
    timeout = spec.get("eventTimeout")
    if timeout is not None and not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", str(timeout)):
        found.append(f"spec.eventTimeout: invalid duration {timeout!r}")
    if spec.get("build", {}).get("commands") and spec["build"].get("directives"):
        found.append("spec.build.commands replaces spec.build.directives: use one of them")
    for name, value in spec.get("resources", {}).get("limits", {}).items():
        if name == "memory":
            quantity(value)
    return found


def quantity(text: object) -> int:
    """Read a Kubernetes quantity such as `6Gi` into bytes."""
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|k|M|G)?", str(text))
    if not match:
        raise ValueError(f"quantities must match the regular expression; got {text!r}")
    units = {None: 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}
    return int(match[1]) * units[match[2]]


def _unknown_keys(value: object, known: object, path: str) -> list[str]:
    if isinstance(known, dict) and isinstance(value, dict):
        found = []
        for key, item in value.items():
            if key not in known and "*" not in known:
                found.append(f"unknown key {path}{key}")
            else:
                found += _unknown_keys(item, known.get(key, known.get("*")), f"{path}{key}.")
        return found
    if isinstance(known, list) and isinstance(value, list):
        return [line for item in value for line in _unknown_keys(item, known[0], path)]
    if isinstance(known, (dict, list)) and value is not None:
        return [f"{path.rstrip('.')} must be a {'mapping' if isinstance(known, dict) else 'list'}"]
    return []
