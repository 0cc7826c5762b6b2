"""The training loop: resumable, seeded, on one CPU or GPU.

The schedule ends when `--minutes` of wall time are over, or after `--iterations`: the cosine follows whichever is
nearer its end, so that a run on a slow machine still ends with a small learning rate.
"""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pcb_aoi.exports.scene import Source
from training.data.batches import TrainingPlan, batches
from training.net import starting_weights
from training.net.architecture import BLOCKS, Net, blocks_of
from training.net.assign import PieceBatch
from training.net.loss import detection_loss
from training.net.muon import build_optimizers
from training.net.precision import fast_dtype

# glibc hands freed memory back to the kernel and fetches it again at every step; the activations of a net make that
# a tenth of the time. The variables are read at process start only, hence the re-exec.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "67108864"}

WARMUP = 150
FINAL_RATE = 0.02
EMA_DECAY = 0.9985
CLIP = 10.0
LOG_EVERY = 50
SAVE_SECONDS = 60.0


def restart_with_allocator() -> None:
    """Run this process again with glibc told to keep its memory; returns at once the second time."""
    if sys.platform != "linux" or all(os.environ.get(key) == value for key, value in ALLOCATOR.items()):
        return
    os.environ.update(ALLOCATOR)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def learning_rate(iteration: int, progress: float) -> float:
    """Share of the full rate: linear warm-up, then a cosine down to FINAL_RATE at progress 1."""
    warm = min(1.0, (iteration + 1) / WARMUP)
    return warm * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, iteration: int) -> None:
    """Move the averaged weights towards the model's; faster at first, when the average is of noise."""
    decay = min(EMA_DECAY, (1 + iteration) / (10 + iteration))
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def train(
    plan: TrainingPlan, sources: list[tuple[float, Source]], out: Path, start_from: Path | None = None, workers: int = 0
) -> Path:
    """Train to the end of the plan; returns the checkpoint, which is rewritten every minute.

    `out`/checkpoint.pt of an interrupted run is continued; `start_from` (another run's checkpoint, or a shipped
    model.onnx) gives only weights: the body, and the rows of the labels that both have.

    Raises:
        ValueError: the plan has fewer residual blocks than the weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "checkpoint.pt"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = fast_dtype(device.type)
    torch.manual_seed(plan.seed)
    fresh = not path.exists()
    earlier = starting_weights.read(start_from, plan, sources) if fresh and start_from else None
    saved = {} if fresh else torch.load(path, map_location=device, weights_only=True)
    weights = saved["model"] if saved else earlier[0] if earlier else None
    blocks = plan.blocks or (BLOCKS if weights is None else blocks_of(weights))
    if weights is not None and any(ours < theirs for ours, theirs in zip(blocks, blocks_of(weights), strict=True)):
        raise ValueError(f"a net of {blocks} blocks has no place for all of {blocks_of(weights)}")
    model = Net(len(plan.slugs), blocks).to(device).to(memory_format=torch.channels_last)
    if earlier:
        starting_weights.load_matching(model, *earlier, plan.slugs)
    average = copy.deepcopy(model).eval()
    optimizers = build_optimizers(model, plan.rate)
    iteration, spent = 0, 0.0
    if fresh:
        before = starting_weights.history(start_from) if start_from else []
    else:
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        iteration, spent, before = saved["iteration"], saved["seconds"], saved["before"]
        print(f"continuing {path} at iteration {iteration}", flush=True)

    def save() -> None:
        content = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "iteration": iteration,
            "seconds": spent,
            "slugs": list(plan.slugs),
            "joined": list(plan.joined),
            "bright_copper": plan.bright_copper,
            "learnt": list(plan.learnt),
            "before": before,
        }
        torch.save(content, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    model.train()
    began, last_save, last_log = time.monotonic() - spent, time.monotonic(), time.monotonic()
    sums = np.zeros(2)
    feed = batches(plan, sources, iteration, workers)
    for images, boxes, labels, taught, pieces in feed:
        spent = time.monotonic() - began
        progress = max(iteration / plan.end, spent / 60 / plan.minutes if plan.minutes else 0.0)
        if progress >= 1:
            break
        rate = learning_rate(iteration, progress)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * rate
        pixels = images.to(device, non_blocking=True).permute(0, 3, 1, 2)  # an NHWC view: already channels_last
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
            prediction = model(pixels.float() / 255)
        parts = PieceBatch(*(part.to(device) for part in pieces))
        label_loss, box_loss = detection_loss(prediction, boxes.to(device), labels.to(device), taught.to(device), parts)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        (label_loss + box_loss).backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        if torch.isfinite(norm):  # one bad batch must not poison the weights
            for optimizer in optimizers:
                optimizer.step()
        update_average(average, model, iteration)
        sums += (label_loss.item(), box_loss.item())
        iteration += 1
        if iteration % LOG_EVERY == 0:
            speed = LOG_EVERY * plan.batch / (time.monotonic() - last_log)
            last_log = time.monotonic()
            bar = "#" * int(20 * progress)
            mean_label, mean_box = sums / LOG_EVERY
            print(
                f"[{bar:.<20}] {progress:4.0%} iteration {iteration} {spent / 60:.1f} min "
                f"label {mean_label:.3f} box {mean_box:.3f} rate {rate:.3f} {speed:.0f} crops/s",
                flush=True,
            )
            sums[:] = 0
        if time.monotonic() - last_save > SAVE_SECONDS:
            save()
            last_save = time.monotonic()
    feed.close()
    save()
    return path
