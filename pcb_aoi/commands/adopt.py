"""`pcb-aoi adopt`: make a function run weights that a user brings; the ones before are kept.

The layout is found, the classes are matched with the labels, and model.yaml is written with what was found: the head by
name, so that the file says what is run and a restart decides nothing anew. Loading checks it again, every time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcb_aoi.commands import class_list, frames
from pcb_aoi.commands.brought_file import read
from pcb_aoi.config import classes, generated, model_edit, previous
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import FRAMES, ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.config.weights import twin_name
from pcb_aoi.engine import heads, layout
from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.signature import Signature
from pcb_aoi.errors import ConfigError, ModelError

THRESHOLD = 0.25
"""Of weights whose scores nobody calibrated: what most exporters' own prediction answers from."""


@dataclass(frozen=True)
class Adoption:
    """What is to be written into model.yaml."""

    head: str
    tile: int
    names: dict[int, str] | None
    """Of the classes, where the file tells them."""
    labels: dict[int, str]
    """Class number -> slug or "-"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi adopt`."""
    parser.add_argument("weights", type=Path, nargs="?", help="model.onnx 文件 / the ONNX file")
    parser.add_argument("--function", required=True, metavar="NAME", help="e.g. inner-layer")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")
    add_options(parser)
    parser.add_argument("--image", type=Path, help="画出两种方式的结果 / draw what both frames give, side by side")
    parser.add_argument("--dry-run", action="store_true", help="只看，不写 / look, write nothing")
    parser.add_argument(
        "--back", action="store_true", help="换回之前的权重；再次运行则换过来 / swap with the weights before"
    )


OPTIONS = ("classes", "map", "head", "tile", "frame", "scale", "um_per_px", "threshold")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare OPTIONS: what a person may have to say of weights."""
    parser.add_argument("--classes", metavar="LIST", help="类别名：a,b,c 或 data.yaml / class names, or a file of them")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="CLASS=LABEL",
        help="一个类别的标签，- 丢弃 / a class's label, - drops it",
    )
    parser.add_argument("--head", choices=heads.NAMES, help="几种格式都可能时选择 / choose where several layouts fit")
    parser.add_argument(
        "--tile", type=int, help="文件没有写明时的输入边长 / the input's side where the file tells none"
    )
    parser.add_argument(
        "--frame", choices=FRAMES, help="tiles 切块，whole 整图缩放 / cut tiles, or resize the whole picture"
    )
    pitch = parser.add_mutually_exclusive_group()
    pitch.add_argument("--scale", type=float, help="切块前的缩放 / model pixels per image pixel; default: 1")
    pitch.add_argument("--um-per-px", type=float, help="训练图像的像素尺寸 / pitch of the pictures in training")
    parser.add_argument("--threshold", type=float, help=f"默认 / default: {THRESHOLD}")


def run(args: argparse.Namespace) -> int:
    """Adopt, or go back; returns 0."""
    folder = args.root / "functions" / args.function
    path = args.root / "labelmaps" / f"{args.function}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none here; use --root"
        raise ConfigError(f"没有这个功能 / no such function: {args.function}; known: {known}")
    if args.back:
        left, now = previous.swap(folder)
        print(f"{folder.name}: {left} → {now}。{_next(folder.name)}")
        return 0
    if args.weights is None:
        raise ConfigError("请给出 ONNX 文件 / name the ONNX file, or --back")
    if args.image is not None and not args.image.is_file():
        raise ConfigError(f"没有这个文件 / no such file: {args.image}")
    version = take(args, folder, Labelmap.load(path))
    if version is not None:
        print(f"{folder}: {version}。{_next(folder.name)}")
    return 0


def take(args: argparse.Namespace, folder: Path, labelmap: Labelmap) -> str | None:
    """Make the function in `folder` run `args.weights`; return their version, or None where nothing was to be written.

    Raises:
        ConfigError, ModelError: see `understand`, brought_file.read and Detector.load.
    """
    data, signature = read(args.weights)
    plan = understand(data, signature, labelmap, args)
    with tempfile.TemporaryDirectory() as place:
        trial = _prepared(folder, Path(place) / folder.name, data, plan, labelmap, args)
        detector = Detector.load(trial)
        _say_batch(trial)
        if args.image is not None:
            frames.draw(detector, args.image, Path(f"{args.image.stem}-{folder.name}.png"))
            if args.frame is None:
                print(
                    "没有写入。看图后再运行，加 --frame tiles 或 --frame whole / nothing written: look at the "
                    "picture, then run again with --frame tiles or --frame whole"
                )
                return None
        if args.dry_run:
            print("没有写入 / nothing written (--dry-run)")
            return None
        _install(trial, folder, detector.config, labelmap)
    return detector.config.version


def understand(data: bytes, signature: Signature, labelmap: Labelmap, args: argparse.Namespace) -> Adoption:
    """Find layout and labels of a brought file, and print both.

    Raises:
        ConfigError: a person has to say more: the classes, a class's label, or which of several layouts it is.
        ModelError: no head reads the file.
    """
    tile = args.tile or layout.side(signature)
    outputs = layout.trial(signature, data, tile, Settings())
    named = classes.names(signature.metadata)
    if args.classes is None and named is None:
        raise _no_names(signature, outputs, _in_use(args).slugs, tile)
    # The number of the first class depends on the layout, and the layout on how many classes there are.
    names = class_list.parse(args.classes, 0 if named is None else min(named)) if args.classes else named or {}
    if named is not None and not names.keys() >= named.keys():
        raise ConfigError(
            f"--classes 有 {len(names)} 个类别，文件有 {len(named)} 个 / --classes tells fewer classes than the file: "
            f"{len(names)} in place of {len(named)}"
        )
    reading = layout.recognise(signature, outputs, max(names) + 1, tile)
    head = _chosen(reading, args.head)
    if named is None:
        names = class_list.parse(args.classes, _first_number(head))
    print(f"格式 layout: {head} ({reading.why}); {tile} px")
    if any(output.ndim == 4 for output in outputs):
        print(
            "分割模型：标签类型为 polygon 的给出轮廓，其余给出框；切换用 pcb-aoi sync --shape polygon / a segmentation "
            "model: labels of type polygon get contours, others boxes; pcb-aoi sync --shape polygon switches"
        )
    mapping, matches = class_list.mapping(names, labelmap, args.map)
    print(class_list.table(matches, labelmap))
    if problem := class_list.unexplained(matches, labelmap):
        raise problem
    return Adoption(head, tile, named if args.classes is None else None, mapping)


def _in_use(args: argparse.Namespace) -> ModelConfig:
    return ModelConfig.load(args.root / "functions" / args.function / "model.yaml")


def _first_number(head: str) -> int | None:
    """What the first class has for a number in a file without names; None: nothing tells."""
    return heads.get(head).first_id or (None if head in layout.LISTS else 0)


def _chosen(reading: layout.Reading, told: str | None) -> str:
    if told is not None:
        if told not in reading.heads:
            raise ConfigError(
                f"--head {told} 与文件不符；应为 / does not fit the file, which is of head: "
                f"{', '.join(reading.heads)} ({reading.why})"
            )
        return told
    if len(reading.heads) > 1 or not reading.sure:
        choices = " 或 / or ".join(f"--head {head}" for head in reading.heads)
        raise ConfigError(f"无法确定格式：{reading.why}。请指明 / the layout is not certain: choose {choices}")
    return reading.heads[0]


def _no_names(signature: Signature, outputs: list[Float32], slugs: Sequence[str], tile: int) -> ConfigError:
    """Ask for the classes; those of the weights in use (`slugs`) are the example."""
    try:
        numbers = layout.recognise(signature, outputs, len(slugs), tile).heads[0] in layout.LISTS
    except ModelError:
        numbers = False
    first = "，并写出第一个编号是0还是1", ", with the number of the first, 0 or 1,"
    chinese, english = first if numbers else ("", ",")
    example = f"--classes {'0=' if numbers else ''}{','.join(slugs)}"
    return ConfigError(
        f"文件没有类别名（{signature}），顺序无法核对。请按权重的顺序给出类别{chinese}，例如 {example}，或训练时的 "
        "--classes data.yaml / the file names no classes, so their order cannot be verified: give them in the weights' "
        f"order{english} for example {example}, or the --classes data.yaml of training"
    )


def _prepared(
    folder: Path, place: Path, data: bytes, plan: Adoption, labelmap: Labelmap, args: argparse.Namespace
) -> Path:
    """Write weights and model.yaml as they shall be into `place`, and return it."""
    before = ModelConfig.load(folder / "model.yaml")
    digest = hashlib.sha256(data).hexdigest()
    own = plan.head == "pcb"  # the project's own export is calibrated, and for the pitch that model.yaml names
    values = {"version": f"own-{digest[:8]}", "sha256": f'"{digest}"', "head": plan.head, "tile": str(plan.tile)}
    if before.overlap > plan.tile // 2:
        values["overlap"] = str(plan.tile // 4)
    if args.threshold is not None or not own:
        values["threshold"] = f"{THRESHOLD if args.threshold is None else args.threshold:g}"
    added: dict[str, str | None] = {"frame": args.frame, "scale": None}
    twin = folder / twin_name(before.weights)
    has_twin = digest == before.sha256 and before.int8 is not None and twin.is_file()
    if not has_twin:
        added["int8"] = None  # if there is one, it is of the weights before
    if args.um_per_px is not None:
        pitch = f"{args.um_per_px:g}"
        values["um_per_px"] = f"{{native: {pitch}, min: {pitch}, max: {pitch}}}"
    elif args.scale is not None or not own:
        added["scale"] = f"{1 if args.scale is None else args.scale:g}"
    text = model_edit.put((folder / "model.yaml").read_text("utf-8"), values)
    for key, value in added.items():
        text = model_edit.put_optional(text, key, value)
    text = model_edit.put_classes(text, _class_lines(plan))
    hidden = {slug for slug, offer in zip(before.slugs, before.offered, strict=True) if not offer}
    answered = labelmap.worded(before.words).only(x.slug for x in labelmap.labels if x.slug in plan.labels.values())
    text = model_edit.put_labels(text, answered.labels, hidden)
    place.mkdir()
    (place / before.weights).write_bytes(data)
    if has_twin:
        shutil.copyfile(twin, place / twin.name)
    (place / "model.yaml").write_text(text, "utf-8")
    return place


def _class_lines(plan: Adoption) -> list[str]:
    """By name where names are unlike each other: they survive an export in another order. Else by number."""
    names = plan.names or {}
    by_name = bool(names) and len({classes.plain(name) for name in names.values()}) == len(names)
    lines = []
    for number, slug in plan.labels.items():
        key = json.dumps(names[number], ensure_ascii=False) if by_name else str(number)
        lines.append(f"{key}: {json.dumps(slug) if slug == classes.DROP else slug}")
    return lines


def _say_batch(trial: Path) -> None:
    try:
        Detector.load(trial, Settings(batch=2))
    except ModelError as error:
        print(f"注意 note: {error}", file=sys.stderr)


def _install(trial: Path, folder: Path, config: ModelConfig, labelmap: Labelmap) -> None:
    """Put the new files in place of the old ones, which are kept; a half-written file never takes a place.

    Other weights may answer other labels: the function files are written for them.
    """
    before = ModelConfig.load(folder / "model.yaml")
    other = config.sha256 != before.sha256  # else the same file, with other options
    if other:
        previous.keep(folder)
    for name in (config.weights, "model.yaml"):
        beside = folder / f".{name}.new"
        shutil.copyfile(trial / name, beside)
        beside.replace(folder / name)
    if other:
        previous.drop_twin(folder, before)
    generated.write(folder, labelmap)


def _next(name: str) -> str:
    return (
        f"下一步 next: ./deploy.sh check --function {name}; ./deploy.sh up --function {name}; "
        f"换回 back: pcb-aoi adopt --back --function {name}"
    )
