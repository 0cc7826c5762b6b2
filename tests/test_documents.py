"""The documents: figures as in results/, links that lead somewhere, both languages, sizes, the files that they name."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import figures
from pcb_aoi import __version__
from pcb_aoi.config.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = figures.documents()
LINKED = sorted({*DOCUMENTS, *ROOT.glob("*/README.md"), *ROOT.glob("tests/*/README.md")})
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_BYTES = 9000
DECISIONS_BYTES = 12_000
MOST_FILES = 3
"""That a reader opens to change one thing."""


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_figures_are_those_of_the_results(path: Path) -> None:
    assert path.read_text("utf-8") == figures.generated(path, figures.load()), "run python3 docs/figures.py"


def test_every_value_is_a_key_that_its_command_writes() -> None:
    """speed and measure write what the documents quote, under these names."""
    for file, source in (("speed", "tests/speed/__main__.py"), ("docker", "tests/e2e/measure.py")):
        text = (ROOT / source).read_text("utf-8")
        keys = set(figures.load()[file]) - {"source"}
        written = [key for key in keys if re.sub(r"_(\d+|scattered|crowded)$", "_", key) in text]
        assert sorted(written) == sorted(keys)


def test_a_changed_result_changes_the_documents(tmp_path: Path) -> None:
    results = json.loads(json.dumps(figures.load()))
    for result in results.values():
        result.update({key: 0.123 for key in ("map50", "recall") if result.get(key)})
    changed = [path.name for path in DOCUMENTS if figures.generated(path, results) != path.read_text("utf-8")]
    assert {"README.md", "README.zh-CN.md", "measured.md", "measured.zh-CN.md", "MODEL_CARD.md"} <= set(changed)


@pytest.mark.parametrize("function", figures.FUNCTIONS)
def test_figures_are_of_the_weights_that_ship(function: str) -> None:
    model = yaml.safe_load((ROOT / "functions" / function / "model.yaml").read_text("utf-8"))
    result = figures.load()[f"{function}-rendered"]
    assert (result["version"], result["weights_sha256"]) == (model["version"], model["sha256"]), "measure them anew"


@pytest.mark.parametrize("path", LINKED, ids=names(LINKED))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{path.relative_to(ROOT)} leads to {link}"
        if anchor:
            assert anchor in anchors(target), f"{path.relative_to(ROOT)} leads to {link}"


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_has_its_twin() -> None:
    alone = {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "THIRD_PARTY.md", "DECISIONS.md"}
    for path in DOCUMENTS:
        if path.name not in alone:
            stem = path.name.removesuffix(".md").removesuffix(".zh-CN")
            assert (path.parent / f"{stem}.md").exists(), path
            assert (path.parent / f"{stem}.zh-CN.md").exists(), path


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if ".zh-CN" in path.name], ids=str)
def test_twins_have_the_same_parts(path: Path) -> None:
    """As many headings, tables and commands in one language as in the other."""
    english = path.with_name(path.name.replace(".zh-CN", ""))
    for pattern in (r"(?m)^#+ ", r"(?m)^\| ---", r"(?m)^```", r"<!-- figures:"):
        counts = [len(re.findall(pattern, twin.read_text("utf-8"))) for twin in (english, path)]
        assert counts[0] == counts[1], f"{pattern} in {english.name} and {path.name}"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_first_page_is_short(name: str) -> None:
    assert (ROOT / name).stat().st_size <= README_BYTES


def test_decisions_are_short() -> None:
    (path,) = [path for path in DOCUMENTS if path.name == "DECISIONS.md"]
    assert path.stat().st_size <= DECISIONS_BYTES


def commands(pattern: str) -> set[str]:
    """The words that a pattern's group finds in all documents but the changelog."""
    texts = [path.read_text("utf-8") for path in LINKED if path.name not in ("CHANGELOG.md", "DECISIONS.md")]
    return {word for text in texts for word in re.findall(pattern, text)}


def test_commands_and_options_of_deploy_exist() -> None:
    usage = subprocess.run([ROOT / "deploy.sh", "--help"], capture_output=True, text=True, check=True).stdout
    for word in commands(r"\./deploy\.sh ([a-z]+)") | commands(r"\./deploy\.sh [^`\n#]*?(--[a-z-]+)"):
        assert re.search(rf"^  {word}\b", usage, re.MULTILINE), f"./deploy.sh {word}"


@pytest.mark.parametrize("package", ["training", "boards"])
def test_commands_of_training_and_boards_exist(package: str) -> None:
    text = (ROOT / package / "__main__.py").read_text("utf-8")
    for word in commands(rf"-m {package} ([a-z0-9]+)"):
        assert f'"{word}"' in text, f"python -m {package} {word}"


def test_settings_are_those_of_the_code() -> None:
    known = {f"PCB_AOI_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert commands(r"(PCB_AOI_[A-Z_]*[A-Z])") == known
    for name in ("operations.md", "operations.zh-CN.md"):
        rows = set(re.findall(r"(?m)^\| `(PCB_AOI_[A-Z_]+)`", (ROOT / "docs" / name).read_text("utf-8")))
        assert rows == known


def to_change() -> list[list[str]]:
    """The rows of CONTRIBUTING's table: what to change, and the cells that name files and what to look for in them."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## To change X, open Y\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


@pytest.mark.parametrize("row", to_change(), ids=lambda row: row[0])
def test_what_contributing_names_is_there(row: list[str]) -> None:
    """Each cell behind the first is "`file`" or "`file`: `word`", and the word stands in the file."""
    cells = [cell for cell in row[1:] if cell]
    assert 1 <= len(cells) <= MOST_FILES
    for cell in cells:
        file, *words = re.findall(r"`([^`]+)`", cell)
        paths = sorted(ROOT.glob(file)) if "*" in file else [ROOT / file]
        assert paths, f"{row[0]}: {file} does not exist"
        for path in paths:
            assert path.exists(), f"{row[0]}: {file} does not exist"
            for word in words:
                assert word in path.read_text("utf-8"), f"{row[0]}: {word} is not in {file}"


def test_contributing_answers_what_was_asked() -> None:
    asked = ("head", "label", "overlap", "threshold", "wait", "spur")
    rows = [row[0].lower() for row in to_change()]
    assert [word for word in asked if not any(word in row for row in rows)] == []


def test_the_version_stands_in_one_place() -> None:
    """pcb_aoi/__init__.py; `pcb-aoi sync` writes it into the function files, which `check` compares."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    by_hand = re.compile(rf"pcb-aoi[\w-]*:\d+\.\d+\.\d+|pcb-aoi {re.escape(__version__)}|^version = \"", re.MULTILINE)
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in (".onnx", ".png", ".jpg", ".zip") or re.fullmatch(
            r"functions/[\w-]+/function(-gpu)?\.yaml", name
        ):
            continue
        assert not by_hand.search(path.read_text("utf-8")), f"{name} has a version by hand"


def test_the_newest_heading_of_the_changelog_is_this_version() -> None:
    headings = re.findall(r"(?m)^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert headings[0] == __version__
    assert len(set(headings)) == len(headings)
