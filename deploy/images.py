"""The base image that every function is built on."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from deploy import say, shell
from deploy.options import Options
from deploy.plan import base_content

LABEL = "io.pcb-aoi.content"
"""The label that holds the fingerprint of what the base image was made from."""
# What reaches the build, and does not stay in the image.
_ARGUMENTS = (
    "PYTHON_IMAGE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


def ensure_base(options: Options, base: str, stack: str) -> None:
    """Build the base image, unless there is one of the same content. Needs a package index or a mirror.

    Environment: PYTHON_IMAGE, what functions/Dockerfile starts from; PIP_INDEX_URL, PIP_EXTRA_INDEX_URL,
    PIP_TRUSTED_HOST and PIP_CERT, package mirror and CA file as pip calls them; the proxies, for the build alone.

    Raises:
        Fatal: it was not built; the message names the cures.
    """
    content = base_content(options.root, stack)
    command = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', base]
    if shell.output(command) == content:
        say.info(f"基础镜像没有变化：{base}", f"the base image is unchanged: {base}")
        return
    say.info(
        f"构建基础镜像（第一次需要几分钟）：{base}，{stack}",
        f"building the base image (minutes the first time): {base}, {stack}",
    )
    arguments = {name: value for name in _ARGUMENTS if (value := os.environ.get(name))} | {"STACK": stack}
    certificate = os.environ.get("PIP_CERT")
    if certificate:
        arguments["CA_FILE"] = "ca.crt"
    # The default network of a build may not reach what the host reaches; nuclio's own builds use the host's, too.
    network = os.environ.get("NUCLIO_DOCKER_BUILD_NETWORK") or "host"
    command = ["docker", "build", "--quiet", "--file", "functions/Dockerfile", "--network", network]
    command += ["--tag", base, "--label", f"{LABEL}={content}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if options.dry_run:
        shell.run([*command, options.root], dry_run=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        _context(options.root, Path(folder), options.cwd / certificate if certificate else None)
        if shell.run([*command, "."], check=False, cwd=Path(folder)):
            say.fatal(
                "基础镜像没有构建成功，原因见上。取不到镜像：设置 PYTHON_IMAGE；取不到 Python 包：设置 PIP_INDEX_URL；"
                "代理检查 TLS：设置 PIP_CERT",
                "the base image was not built, see above. No python image: set PYTHON_IMAGE; no packages: set "
                "PIP_INDEX_URL; a proxy inspects TLS: set PIP_CERT",
            )


def _context(root: Path, folder: Path, certificate: Path | None) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("pcb_aoi", "functions/requirements"):
        shutil.copytree(root / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "functions/Dockerfile"):
        shutil.copy2(root / name, folder / name)
    if certificate is not None:
        try:
            shutil.copyfile(certificate, folder / "ca.crt")
        except OSError as error:
            say.fatal(f"PIP_CERT={certificate}：{error.strerror}", f"PIP_CERT={certificate}: {error.strerror}")
