"""The GPU: which CUDA the driver and the card can run, and whether containers see the card."""

from __future__ import annotations

import os

from deploy import say, shell
from deploy.options import Options
from deploy.preflight import older


def stack(options: Options, default: str = "") -> str:
    """Name the CUDA stack that driver and card can run, or cpu; CUDA_STACK, else `default`, in place of the driver's.

    Raises:
        Fatal: there is no GPU, or its driver is too old.
    """
    if not options.gpu:
        return "cpu"
    if wanted := os.environ.get("CUDA_STACK") or default:
        if wanted not in ("cuda12", "cuda13"):
            say.fatal(
                f"CUDA_STACK 只能是 cuda12 或 cuda13，不是 {wanted}",
                f"CUDA_STACK must be cuda12 or cuda13, not {wanted}",
            )
        return wanted
    if not (driver := _nvidia("driver_version")):
        say.fatal(
            "nvidia-smi 找不到 GPU：请安装 NVIDIA 驱动（580 或更新），或去掉 --gpu；为别的机器打包：设置 "
            "CUDA_STACK=cuda13（驱动 580 以上）或 cuda12",
            "nvidia-smi finds no GPU: install NVIDIA's driver (580 or newer), or leave out --gpu; to pack for another "
            "machine set CUDA_STACK=cuda13 (driver 580 or newer) or cuda12",
        )
    # CUDA 13 has no Pascal and Volta any more: compute capability under 7.5.
    capabilities = _nvidia("compute_cap") or ["7.5"]
    if not older(driver[0], "580") and not any(older(capability, "7.5") for capability in capabilities):
        return "cuda13"
    if not older(driver[0], "525"):
        return "cuda12"
    say.fatal(
        f"NVIDIA 驱动 {driver[0]} 太旧：CUDA 12 需要 525，CUDA 13 需要 580。请升级驱动",
        f"NVIDIA driver {driver[0]} is too old: CUDA 12 needs 525, CUDA 13 needs 580. Upgrade the driver",
    )


def _nvidia(what: str) -> list[str]:
    said = shell.output(["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"])
    return said.split() if said else []


def in_containers(options: Options, image: str) -> None:
    """A container must see the card before five functions are built for it.

    Raises:
        Fatal: it does not.
    """
    command = ["docker", "run", "--rm", "--gpus", "all", "--entrypoint", "nvidia-smi", image, "--list-gpus"]
    if options.gpu and shell.run(command, dry_run=options.dry_run, check=False):
        toolkit = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
        say.fatal(
            f"容器里看不到 GPU：安装 nvidia-container-toolkit，再运行 {toolkit}",
            f"containers do not see the GPU: install nvidia-container-toolkit, then {toolkit}",
        )
