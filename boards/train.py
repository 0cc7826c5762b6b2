"""Train the net of a recipe, from scratch or from other weights.

    python -m boards train acid-outer-layer --out runs/acid --pool runs/pool --minutes 34
    python -m boards train acid-outer-layer --out runs/real --pool runs/pool --real DsPCBSD+/Data_COCO \\
        labelmaps/published/dspcbsd.yaml train2017                # real boards for half of the crops

The schedule ends when `--minutes` of wall time are over, or after `--iterations`, whichever is sooner. A run writes a
checkpoint every minute; started again with the same `--out`, it goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from boards import recipes
from pcb_aoi.config import yaml_file
from pcb_aoi.exports.annotations import Report, decode_entry, index
from pcb_aoi.exports.label_names import Names
from training.data.batches import ITERATIONS, WIDE_SHARE, TrainingPlan
from training.data.sheets import Sheets
from training.net.architecture import BLOCKS
from training.net.loop import restart_with_allocator, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("function", help="a recipe (recipes.py), for example inner-layer")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints; an interrupted run continues")
    parser.add_argument("--minutes", type=float, default=0.0, help="end the schedule after this wall time; 0: no limit")
    parser.add_argument(
        "--iterations",
        type=int,
        default=0,
        help=f"end the schedule after so many batches; 0: no limit, or {ITERATIONS} without --minutes",
    )
    parser.add_argument("--batch", type=int, default=TrainingPlan.batch, help="crops a batch")
    parser.add_argument("--pool", type=Path, help="folder of rendered boards (`python -m boards pool`) to mix in")
    parser.add_argument(
        "--real",
        nargs=3,
        action="append",
        default=[],
        metavar=("EXPORT", "LABEL_MAP", "SUBSET"),
        help="a published set of real boards, for half of the crops; without --pool: for all of them; may be repeated",
    )
    parser.add_argument("--start-from", type=Path, help="checkpoint or model.onnx to take the weights from")
    parser.add_argument(
        "--blocks",
        type=int,
        nargs=3,
        metavar="N",
        help="residual blocks at strides 8, 16 and 32, for example 3 3 2 (default: as --start-from, or "
        f"{' '.join(map(str, BLOCKS))}); more than --start-from has begin as next to nothing, fewer are refused",
    )
    parser.add_argument("--rate", type=float, default=TrainingPlan.rate, help="learning rate; lower to refine weights")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as many as torch likes")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops, beside a GPU; 0: a thread")


def published(real: list[list[str]], function: str, rest: float) -> recipes.Mix:
    """(share of the crops, source) of each published set: together as much as `rest`, the others' shares."""
    slugs = recipes.get(function).slugs
    names, mix = Names.load(Path("labelmaps") / f"{function}.yaml", slugs), []
    for folder, label_map, subset in real:
        report = Report()
        found = index([Path(folder)], names.with_map(Path(label_map)), report=report, subset=subset)
        mix.append(((rest or 1.0) / len(real), Sheets([decode_entry(entry, report) for entry in found])))
    return [*mix]


def run(args: argparse.Namespace) -> int:
    """Train to the end of the schedule; 0."""
    restart_with_allocator()
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = recipes.get(args.function)
    rendered = bool(args.pool or not args.real)
    sources = recipe.sources(args.data, args.pool, recipe.slugs) if rendered else []
    sources = [*sources, *published(args.real, recipe.function, sum(share for share, _ in sources))]
    credits = [yaml_file.load(Path(label_map))["credit"] for _, label_map, _ in args.real]
    plan = TrainingPlan(
        tuple(recipe.slugs),
        args.iterations,
        args.minutes,
        batch=args.batch,
        rate=args.rate,
        seed=args.seed,
        blocks=tuple(args.blocks) if args.blocks else None,
        wide_share=WIDE_SHARE if args.pool else 0.0,
        bright_copper=recipe.bright_copper,
        joined=TrainingPlan.joined if rendered else (),  # published sets know boxes, no trails
        learnt=(*([recipe.provenance] if rendered else []), *(f"Trained on {credit}." for credit in credits)),
    )
    path = train(plan, sources, args.out, args.start_from, args.workers)
    print(f"wrote {path}; next: python -m boards export {recipe.function} --checkpoint {path}")
    return 0
