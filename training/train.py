"""The training loop: resumable, seeded, on one CPU or GPU.

    python -m training train inner-layer --minutes 30 --out runs/inner

The schedule ends when `--minutes` of wall time are over, or after `--iterations`: the cosine follows whichever is
nearer its end, so that a run on a slow machine still ends with a small learning rate.
"""

# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False
from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training import real_sets, starting_weights
from training.assign import PieceBatch
from training.batches import ITERATIONS, Plan, batches
from training.loss import detection_loss
from training.muon import build_optimizers
from training.net import BLOCKS, Detector, blocks_of
from training.precision import fast_dtype
from training.scene import Source

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
    os.execv(sys.executable, [sys.executable, "-m", "training", *sys.argv[1:]])


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
    plan: Plan, sources: list[tuple[float, Source]], out: Path, start_from: Sequence[Path] = (), workers: int = 0
) -> Path:
    """Train to the end of the plan; returns the checkpoint, which is rewritten every minute.

    `out`/checkpoint.pt of an interrupted run is continued; `start_from` (another run's checkpoint, or a shipped
    model.onnx) gives only weights. Of several, the first gives the body and each its labels; a label that several
    have is the earliest one's.

    Raises:
        ValueError: the plan has fewer residual blocks than the weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "checkpoint.pt"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = fast_dtype(device.type)
    torch.manual_seed(plan.seed)
    fresh = not path.exists()
    earlier = [starting_weights.read(start, plan, sources) for start in (start_from if fresh else ())]
    saved = {} if fresh else torch.load(path, map_location=device, weights_only=True)
    weights = saved["model"] if saved else earlier[0][0] if earlier else None
    blocks = plan.blocks or (BLOCKS if weights is None else blocks_of(weights))
    if weights is not None and any(ours < theirs for ours, theirs in zip(blocks, blocks_of(weights), strict=True)):
        raise ValueError(f"a net of {blocks} blocks has no place for all of {blocks_of(weights)}")
    model = Detector(len(plan.slugs), blocks).to(device).to(memory_format=torch.channels_last)
    for theirs, slugs in reversed(earlier):
        starting_weights.load_matching(model, theirs, slugs, plan.slugs)
    average = copy.deepcopy(model).eval()
    optimizers = build_optimizers(model, plan.rate)
    iteration, spent = 0, 0.0
    if fresh:
        sentences = [sentence for start in start_from for sentence in starting_weights.history(start)]
        before = list(dict.fromkeys(sentences))
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints; an interrupted run continues")
    parser.add_argument("--minutes", type=float, default=0.0, help="end the schedule after this wall time; 0: no limit")
    parser.add_argument(
        "--iterations",
        type=int,
        default=0,
        help=f"end the schedule after so many batches; 0: no limit, or {ITERATIONS} without --minutes",
    )
    parser.add_argument("--batch", type=int, default=Plan.batch, help="crops a batch")
    parser.add_argument("--pool", type=Path, help="folder of rendered boards (`python -m training pool`) to mix in")
    parser.add_argument(
        "--real",
        type=real_sets.parse,
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help=f"a published set of real boards ({', '.join(real_sets.SETS)}), for half of the crops; without --pool: "
        "for all of them; may be repeated",
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        nargs="+",
        default=[],
        help="checkpoint or model.onnx to take the weights from; of several, the first gives the body and each its "
        "labels: `train together` from the files of the four functions",
    )
    parser.add_argument(
        "--blocks",
        type=int,
        nargs=3,
        metavar="N",
        help="residual blocks at strides 8, 16 and 32, for example 3 3 2 (default: as --start-from, or "
        f"{' '.join(map(str, BLOCKS))}); more than --start-from has begin as next to nothing, fewer are refused",
    )
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate; lower to refine finished weights")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as many as torch likes")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops, beside a GPU; 0: a thread")


def run(args: argparse.Namespace) -> int:
    restart_with_allocator()
    from training import recipes

    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = recipes.get(args.function)
    rendered = bool(args.pool or not args.real)
    sources = recipe.sources(args.data, args.pool, recipe.slugs) if rendered else []
    sources = [*sources, *real_sets.mix(args.real, recipe.slugs, sum(share for share, _ in sources))]
    wide = recipes.WIDE_SHARE if args.pool else 0.0
    plan = Plan(
        tuple(recipe.slugs),
        args.iterations,
        args.minutes,
        batch=args.batch,
        rate=args.rate,
        seed=args.seed,
        blocks=tuple(args.blocks) if args.blocks else None,
        wide_share=wide,
        bright_copper=recipe.bright_copper,
        joined=Plan.joined if rendered else (),  # published sets know boxes, no trails
        learnt=(
            *([recipe.provenance] if rendered else []),
            *(f"Trained on {real_sets.SETS[name].credit}." for name, _ in args.real),
        ),
    )
    path = train(plan, sources, args.out, args.start_from, args.workers)
    print(f"wrote {path}; next: python -m training export {args.function} --checkpoint {path}")
    return 0
