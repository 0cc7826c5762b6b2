"""Write the figures of the documents from results/*.json.

    python3 docs/figures.py            # writes the marked parts of READMEs, docs/ and model cards
    python3 docs/figures.py --check    # writes nothing; names the files that differ and ends with 1

A marked part stands between `<!-- figures:NAME ARGUMENT -->` and `<!-- /figures -->`. NAME is a key of PARTS. ARGUMENT
is a function, or `FILE.KEY` for a single value; a model card is about its own function. `*.zh-CN.md` are Chinese.

A file of results holds one measurement. `evaluate --json` writes those of accuracy, with the keys command, date,
function, version, weights_sha256, pool, real, images, megapixels, map50, map5095, false_calls_per_clean_mpx, and labels
(slug -> ap50, recall, precision, objects). What was not measured is null. `source` says where a figure comes from that
no command of this repository wrote. Only the standard library is used.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ("inner-layer", "acid-outer-layer", "alkaline-outer-layer", "resin-plug", "gold-osp")
LANGUAGES = ("en", "zh")
MARK = re.compile(r"(<!-- figures:(\w+)(?: ([\w.-]+))? -->\n?).*?(<!-- /figures -->)", re.DOTALL)

Text = tuple[str, str]
"""English, Chinese."""
Result = dict[str, Any]
Results = dict[str, Result]
Part = Callable[[Results, str, int], str]
"""Results, function or other argument, and language (0 English, 1 Chinese) to the text between two marks."""

NAMES: dict[str, Text] = {
    "inner-layer": ("inner layer", "内层"),
    "acid-outer-layer": ("acid outer layer", "酸性外层"),
    "alkaline-outer-layer": ("alkaline outer layer", "碱性外层"),
    "resin-plug": ("resin plug", "树脂塞孔"),
    "gold-osp": ("gold and OSP", "金OSP"),
}

# Kinds of measurements, by the part of a file's name behind the function's; each file says what its pictures are. These
# had no part in making the weights, and were measured outside this repository.
OTHER = ("groups", "planes", "tiles", "pours", "dark-field", "fpc")
LOOKED = ("figure",)  # looked at, not scored
FOLDS = ("fold-1", "fold-2", "fold-3")  # the recipe, on groups of boards that each fold leaves out
CLEAN = ("clean-real", "clean-rendered")  # weights from renders alone


def load(folder: Path = ROOT / "results") -> Results:
    """Read all results, by file name without `.json`."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def number(share: float | None) -> str:
    """A share of one, or a dash where nothing was measured."""
    return "–" if share is None else f"{share:.3f}"


def rest(share: float | None) -> str:
    """What is left of a share, in per cent."""
    return "–" if share is None else f"{1 - share:.1%}"


def calls(per_megapixel: float | None) -> str:
    """False calls, or a dash where none were counted."""
    return "–" if per_megapixel is None else f"{round(per_megapixel, 2):g}"


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [list(head), ["---"] * len(head), *rows])


def value(results: Results, name: str, _: int) -> str:
    """One value, `FILE.KEY`; of a list the lowest and the highest."""
    found: Any = results
    for part in name.split("."):
        found = found[part]
    if isinstance(found, list):
        return f"{found[0]:g}–{found[-1]:g}"
    return str(found) if isinstance(found, str | int) else f"{found:g}"


def trust(results: Results, _: str, language: int) -> str:
    """Each model on rendered boards and on other pictures, a row a measurement."""
    head = (
        ("model", "pictures", "mAP@0.5", "recall", "false calls per clean megapixel", "remark"),
        ("模型", "图", "mAP@0.5", "召回率", "每百万像素好板误报", "说明"),
    )[language]
    rows = []
    for function in FUNCTIONS:
        own = results[f"{function}-rendered"]
        rows.append(
            _row(NAMES[function][language], ("rendered, this project's", "本项目渲染的板图")[language], own, language)
        )
        rows += [_row("", *pair, language) for pair in _of(results, function, OTHER, language)]
    return table(head, rows)


def _of(results: Results, function: str, kinds: tuple[str, ...], language: int) -> list[tuple[str, Result]]:
    """What the pictures are, and the result, for each kind that was measured."""
    found = [results[stem] for kind in kinds if (stem := f"{function}-{kind}") in results]
    return [(one["pictures"][LANGUAGES[language]], one) for one in found]


def _row(name: str, pictures: str, one: Result, language: int) -> list[str]:
    recall, false = number(recall_of(one)), calls(one["false_calls_per_clean_mpx"])
    remark = one["note"][LANGUAGES[language]] if "note" in one else ""
    return [name, pictures, number(one["map50"]), recall, false, remark]


def recall_of(one: Result) -> float | None:
    """Recall over all labels: as given, or from the labels where all of them were counted."""
    labels = one["labels"].values()
    if "recall" in one:
        return float(one["recall"])
    if not one["map50"] or not labels or any(label["recall"] is None or not label["objects"] for label in labels):
        return None
    objects = sum(label["objects"] for label in labels)
    return float(sum(label["recall"] * label["objects"] for label in labels) / objects)


def summary(results: Results, only: str, language: int) -> str:
    """The five on rendered boards, or one of them."""
    head = (
        ("model", "version", "images", "defects", "mAP@0.5", "mAP@0.5:0.95", "false calls per clean megapixel"),
        ("模型", "版本", "图数", "缺陷数", "mAP@0.5", "mAP@0.5:0.95", "每百万像素好板误报"),
    )[language]
    rows = []
    for function in (only,) if only else FUNCTIONS:
        one = results[f"{function}-rendered"]
        objects = sum(label["objects"] for label in one["labels"].values())
        accuracy = [number(one["map50"]), number(one["map5095"]), calls(one["false_calls_per_clean_mpx"])]
        rows.append([NAMES[function][language], one["version"], str(one["images"]), str(objects), *accuracy])
    return table(head, rows)


def rendered(results: Results, function: str, language: int) -> str:
    """One function on rendered boards, label by label."""
    one = results[f"{function}-rendered"]
    head = (
        ("label", "defects", "AP@0.5", "recall", "escapes", "precision", "overkill"),
        ("标签", "缺陷数", "AP@0.5", "召回率", "漏检率", "准确率", "过杀率"),
    )[language]
    rows = []
    for slug, label in one["labels"].items():
        rates = [text for key in ("recall", "precision") for text in (number(label[key]), rest(label[key]))]
        rows.append([f"{chinese(function, slug)} {slug}", str(label["objects"]), number(label["ap50"]), *rates])
    return table(head, rows)


def chinese(function: str, slug: str) -> str:
    """The Chinese name of a label, from model.yaml."""
    found = re.search(rf"slug: {slug}, zh: ([^,]+),", model_yaml(function))
    return found[1] if found else ""


def model_yaml(function: str) -> str:
    """The text of a function's model.yaml."""
    return (ROOT / "functions" / function / "model.yaml").read_text("utf-8")


def measurements(kinds: tuple[str, ...]) -> Part:
    """The part that lists one function's results of these kinds."""
    head = (
        ("pictures", "images", "mAP@0.5", "mAP@0.5:0.95", "recall", "false calls per clean megapixel", "remark"),
        ("图", "图数", "mAP@0.5", "mAP@0.5:0.95", "召回率", "每百万像素好板误报", "说明"),
    )

    def part(results: Results, function: str, language: int) -> str:
        rows = []
        for text, one in _of(results, function, kinds, language):
            _, pictures, map50, recall, false, remark = _row("", text, one, language)
            rows.append([pictures, str(one["images"] or "–"), map50, number(one["map5095"]), recall, false, remark])
        return table(head[language], rows)

    return part


def origin(results: Results, _: str, language: int) -> str:
    """Where each file of results comes from."""
    head = (("results", "date", "version", "command or source"), ("结果文件", "日期", "版本", "命令或来源"))[language]
    rows = []
    for stem, one in results.items():
        texts = [f"`{one['command']}`" if one["command"] else "", one.get("source", "")]
        origin = "; ".join(text for text in texts if text)
        rows.append([f"results/{stem}.json", one["date"], str(one.get("version", "–")), origin])
    return table(head, rows)


def rows(results: Results, name: str, language: int) -> str:
    """A table that a measurement brings, `FILE.KEY`: {head: {en, zh}, rows}."""
    stem, _, key = name.partition(".")
    one = results[stem][key]
    return table(tuple(one["head"][LANGUAGES[language]]), one["rows"])


def weights(_: Results, function: str, language: int) -> str:
    """Version and SHA-256 of the weights that ship."""
    found = (re.search(rf"(?m)^{key}: \"?([^\"\n]+)", model_yaml(function)) for key in ("version", "sha256"))
    version, sha256 = (match[1] if match else "–" for match in found)
    return f"`model.onnx` {('version', '版本')[language]} {version}, SHA-256 `{sha256}`\n"


PARTS: dict[str, Part] = {
    "value": value,
    "rows": rows,
    "trust": trust,
    "summary": summary,
    "rendered": rendered,
    "others": measurements(OTHER + LOOKED),
    "folds": measurements(FOLDS),
    "clean": measurements(CLEAN),
    "origin": origin,
    "weights": weights,
}


def documents() -> list[Path]:
    """Every document that may have marked parts."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("functions/*/*.md")])


def generated(path: Path, results: Results) -> str:
    """The content that a document should have.

    Raises:
        KeyError: a mark names a part, a file or a key that does not exist.
    """
    language = 1 if path.name.endswith(".zh-CN.md") else 0
    own = path.parent.name if path.parent.parent.name == "functions" else ""

    def fill(mark: re.Match[str]) -> str:
        return f"{mark[1]}{PARTS[mark[2]](results, mark[3] or own, language)}{mark[4]}"

    return MARK.sub(fill, path.read_text("utf-8"))


def main() -> int:
    """Write the documents, or with --check only say which ones differ."""
    results, check = load(), "--check" in sys.argv[1:]
    differing = [path for path in documents() if generated(path, results) != path.read_text("utf-8")]
    for path in differing:
        if not check:
            path.write_text(generated(path, results), "utf-8")
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    return 1 if differing and check else 0


if __name__ == "__main__":
    sys.exit(main())
