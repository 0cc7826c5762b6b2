"""The labels that CVAT is offered match those of a factory's projects by themselves, by CVAT's own rule.

The projects' labels are those that the factory's annotators paste; a label of ours that such a list lacks is named
here, so that a change of either is seen.
"""

from __future__ import annotations

from pathlib import Path

import cvat
import pytest
from cvat import Label

from pcb_aoi.config import generated
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.spelling import match

ROOT = Path(__file__).parents[2]


def project(kind: str, names: str) -> tuple[Label, ...]:
    return tuple(Label(name, kind) for name in names.split())


INNER_DIALOG = set(
    "板损 刮花 铜渣 杂物_重 杂物_轻 缺口 缺铜 油墨_蓝 油墨_绿 异色 胶膜 气泡 板边 氧化 毛边单 夹角铜渣".split()  # noqa: SIM905
)
INNER = project(
    "any",
    "板损 刮花 铜渣 微短 杂物_重 杂物_轻 缺口 针孔 缺铜 油墨_蓝 油墨_绿 异色 胶膜 气泡 板边 氧化 氧化_轻 氧化_重 "
    "毛边单 毛边微短_重 毛边微短1 毛边微短2 毛边微短3 毛边微短4 毛边微短5 毛边微短6 毛边微短7 毛边微短8 毛边微短9 "
    "毛边微短10 毛边微短11 毛边微短12 夹角铜渣",
)
OUTER = project("polygon", "铜渣 胶膜 杂物轻 缺口 毛边微短 刮花 板损 缺铜 异色 氧化 油墨蓝 气泡 孔内铜渣") + project(
    "any", "杂物重 油墨绿 通孔 孔破 盲孔 夹角铜渣 孔边披风 荚膜 板边"
)
PROJECTS = {"inner-layer": INNER, "acid-outer-layer": OUTER, "alkaline-outer-layer": OUTER}
GENERAL = {
    "inner-layer": {"开路", "毛边微短"},
    "acid-outer-layer": {"开路", "微短", "毛刺", "孔偏"},
    "alkaline-outer-layer": {"开路", "微短", "渗镀", "锡残", "铜瘤"},
}
"""Labels that the process has and the project's list lacks."""


def load(function: str) -> tuple[Labelmap, ModelConfig]:
    labelmap = Labelmap.load(ROOT / "labelmaps" / f"{function}.yaml")
    return labelmap, ModelConfig.load(ROOT / "functions" / function / "model.yaml")


def dialog(labelmap: Labelmap, shape: str | None = None) -> tuple[Label, ...]:
    """What CVAT reads of these labels: all of one shape, or as the labelmap has them."""
    return tuple(Label(item["name"], shape or item["type"]) for item in labelmap.cvat_spec("zh"))


@pytest.mark.parametrize("function", PROJECTS)
def test_offered_labels_match_the_factorys_project_by_themselves(
    function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labelmap, config = load(function)
    task = PROJECTS[function]
    shown = [label for label in dialog(generated.offered(labelmap, config)) if label.name not in GENERAL[function]]
    best = 0.0
    with capsys.disabled():
        for shape in ("rectangle", "polygon"):
            mapping = cvat.default_mapping([Label(label.name, shape) for label in shown], task)
            best = max(best, len(mapping) / len(shown))
            print(f"\n{function}, {shape}: {len(mapping)} of {len(shown)} match: {' '.join(mapping)}", end="")
    assert best >= 0.9


def test_inner_layers_match_as_they_ship() -> None:
    """All labels of that project are of type any: boxes and polygons are both taken."""
    labelmap, config = load("inner-layer")
    shown = dialog(generated.offered(labelmap, config))
    assert {label.name for label in shown} - set(cvat.default_mapping(shown, INNER)) == {"开路"}


@pytest.mark.parametrize("function", PROJECTS)
def test_the_labelmap_has_the_factorys_labels_and_what_the_process_has(function: str) -> None:
    labelmap, _ = load(function)
    wanted = INNER_DIALOG | {"微短", "针孔"} if function == "inner-layer" else {label.name for label in OUTER}
    assert {label.name.zh for label in labelmap.labels} == wanted | GENERAL[function]


@pytest.mark.parametrize("function", PROJECTS)
def test_any_label_of_the_outer_project_can_be_chosen_for_polygons(function: str) -> None:
    """With weights that answer all: `sync --shape polygon` is what projects with polygon labels take."""
    labelmap, _ = load(function)
    assert len(cvat.default_mapping(dialog(labelmap, "polygon"), PROJECTS[function])) == len(labelmap.labels) - len(
        GENERAL[function]
    )


@pytest.mark.parametrize(
    ("function", "word", "slug"),
    [
        ("inner-layer", "划伤", "scratch"),
        ("inner-layer", "残铜", "residual_copper"),
        ("inner-layer", "毛刺", "spur"),
        ("inner-layer", "短路", "short"),
        ("inner-layer", "杂物轻", "foreign_light"),
        ("acid-outer-layer", "划伤", "scratch"),
        ("acid-outer-layer", "异物", "foreign_object"),
        ("acid-outer-layer", "杂物_重", "foreign_object"),
        ("alkaline-outer-layer", "夹膜", "film_pinch"),
        ("alkaline-outer-layer", "短路", "short"),
    ],
)
def test_general_words_stay_known(function: str, word: str, slug: str) -> None:
    assert match(word, load(function)[0]).slugs == (slug,)


@pytest.mark.parametrize("path", sorted((ROOT / "labelmaps").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_word_means_two_labels(path: Path) -> None:
    labelmap = Labelmap.load(path)
    for label in labelmap.labels:
        for word in (label.slug, label.name.zh, label.name.en, label.general or label.name.zh, *label.aliases):
            assert match(word, labelmap).slugs == (label.slug,), word


@pytest.mark.parametrize("path", sorted((ROOT / "labelmaps").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_two_labels_of_a_model_have_one_colour(path: Path) -> None:
    colours = [label.color for label in Labelmap.load(path).labels]
    assert len(set(colours)) == len(colours)
