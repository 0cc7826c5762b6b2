"""labelmaps, model.yaml, function.yaml, settings: one source of labels, and every fault named with file and key."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import analytic
import cvat
import pytest
import yaml

from pcb_aoi import __version__, cli
from pcb_aoi.commands import check
from pcb_aoi.config import function_yaml, generated
from pcb_aoi.config.function_file import FunctionFile, seconds
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.demo import cvat_client
from pcb_aoi.errors import ConfigError

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("acid-outer-layer", "alkaline-outer-layer", "gold-osp", "inner-layer", "resin-plug")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of functions/ (small files only) and labelmaps/ to break."""
    shutil.copytree(ROOT / "labelmaps", tmp_path / "labelmaps")
    for name in FUNCTIONS:
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        for file in ("function.yaml", "function-gpu.yaml", "main.py", "model.yaml"):
            shutil.copy(ROOT / "functions" / name / file, folder / file)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1), "utf-8")


# What the users call them, word for word.
IDENTITIES = {
    "inner-layer": ("pcb-inner-layer", "内层", "用于AOI内层检测使用的AI模型", 32101, 20),
    "acid-outer-layer": ("pcb-acid-outer-layer", "酸性外层", "用于AOI酸性外层检测使用的AI模型", 32102, 26),
    "alkaline-outer-layer": ("pcb-alkaline-outer-layer", "碱性外层", "用于AOI碱性外层检测使用的AI模型", 32103, 27),
    "resin-plug": ("pcb-resin-plug", "树脂塞孔", "用于AOI树脂塞孔检测使用的AI模型", 32104, 8),
    "gold-osp": ("pcb-gold-osp", "金OSP", "用于AVI金OSP 检测使用的AI模型", 32105, 9),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_called_what_the_users_call_them(name: str) -> None:
    labelmap = Labelmap.load(ROOT / "labelmaps" / f"{name}.yaml")
    found = labelmap.id, labelmap.name.zh, labelmap.description.zh, labelmap.port, len(labelmap.labels)
    assert found == IDENTITIES[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_generated_is_up_to_date(name: str) -> None:
    labelmap = Labelmap.load(ROOT / "labelmaps" / f"{name}.yaml")
    for path, content in generated.contents(ROOT / "functions" / name, labelmap).items():
        assert path.read_text("utf-8") == content, f"run `pcb-aoi sync`: {path}"


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("file", generated.FUNCTION_FILES)
def test_function_files_keep_nuclios_and_cvats_rules(name: str, file: str) -> None:
    labelmap = Labelmap.load(ROOT / "labelmaps" / f"{name}.yaml")
    config = ModelConfig.load(ROOT / "functions" / name / "model.yaml")
    function_yaml.check(ROOT / "functions" / name / file, labelmap, config)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_cpu_and_gpu_differ_only_in_what_a_gpu_needs(name: str) -> None:
    cpu, gpu = (
        yaml.safe_load((ROOT / "functions" / name / file).read_text("utf-8")) for file in generated.FUNCTION_FILES
    )
    assert gpu["spec"]["resources"]["limits"].pop("nvidia.com/gpu") == 1
    assert gpu["spec"]["env"].pop(0) == {"name": "PCB_AOI_DEVICE", "value": "cuda"}
    assert cpu["spec"]["env"].pop(0) == {"name": "PCB_AOI_DEVICE", "value": "cpu"}
    for key in ("image", "baseImage"):
        assert cpu["spec"]["build"].pop(key).replace("-cpu", "-gpu") == gpu["spec"]["build"].pop(key)
    assert cpu == gpu


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("file", generated.FUNCTION_FILES)
def test_who_waits_for_an_answer_waits_longer_than_who_makes_it(name: str, file: str) -> None:
    """The function answers 503 in time; nuclio replaces a worker that hangs; CVAT gives up."""
    spec = yaml.safe_load((ROOT / "functions" / name / file).read_text("utf-8"))["spec"]
    nuclio_s = seconds(spec["eventTimeout"])
    assert nuclio_s is not None
    assert Settings().deadline_s + 5 <= nuclio_s
    assert nuclio_s + 5 <= cvat_client.TIMEOUT_S


def test_the_five_main_files_are_one() -> None:
    assert len({(ROOT / "functions" / name / "main.py").read_bytes() for name in FUNCTIONS}) == 1


def test_sync_writes_english_and_back(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.yaml")}
    assert cli.main(["sync", "--root", str(root), "--language", "en"]) == 0
    folder = root / "functions" / "inner-layer"
    spec = json.loads(yaml.safe_load((folder / "function.yaml").read_text("utf-8"))["metadata"]["annotations"]["spec"])
    assert [label["name"] for label in spec][:3] == ["Open", "Short", "Nick"]
    assert ModelConfig.load(folder / "model.yaml").names[:3] == ("Open", "Short", "Nick")
    assert cli.main(["sync", "--root", str(root), "--check"]) == 0
    assert cli.main(["sync", "--root", str(root), "--language", "zh"]) == 0
    assert {path: path.read_bytes() for path in root.rglob("*.yaml")} == before


def test_sync_switches_the_shape_and_back(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.yaml")}
    words = ["sync", "inner-layer", "--root", str(root)]
    assert cli.main([*words, "--shape", "polygon", "--check"]) == 1
    assert {path: path.read_bytes() for path in root.rglob("*.yaml")} == before
    assert cli.main([*words, "--shape", "polygon"]) == 0
    folder = root / "functions" / "inner-layer"
    for file in generated.FUNCTION_FILES:
        spec = json.loads(yaml.safe_load((folder / file).read_text("utf-8"))["metadata"]["annotations"]["spec"])
        assert {label["type"] for label in spec} == {"polygon"}
    assert set(ModelConfig.load(folder / "model.yaml").types) == {"polygon"}
    assert {
        label["type"] for label in Labelmap.load(root / "labelmaps" / "inner-layer.yaml").cvat_raw_labels("zh")
    } == {"polygon"}
    assert cli.main(["sync", "--root", str(root), "--check"]) == 0
    assert cli.main(["check", "--root", str(root), "--static"]) == 0
    # The other functions are as they were.
    assert {label.type for label in Labelmap.load(root / "labelmaps" / "gold-osp.yaml").labels} == {"rectangle"}
    after = {path: path.read_bytes() for path in root.rglob("*.yaml")}
    assert cli.main([*words, "--shape", "polygon"]) == 0
    assert {path: path.read_bytes() for path in root.rglob("*.yaml")} == after
    assert cli.main([*words, "--shape", "rectangle"]) == 0
    assert {path: path.read_bytes() for path in before} == before


def test_one_label_may_be_a_polygon(root: Path) -> None:
    short = '"#f58231"\n    type: '
    replace(root / "labelmaps" / "inner-layer.yaml", f"{short}rectangle", f"{short}polygon")
    assert cli.main(["sync", "--root", str(root)]) == 0
    config = ModelConfig.load(root / "functions" / "inner-layer" / "model.yaml")
    assert config.types[:3] == ("rectangle", "polygon", "rectangle")


def test_sync_says_what_it_cannot_write(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "labelmaps" / "inner-layer.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("    color:", "    'color':", 1), "utf-8")
    assert cli.main(["sync", "inner-layer", "--root", str(root), "--shape", "polygon"]) == 1
    assert "write their type by hand" in capsys.readouterr().err
    assert cli.main(["sync", "inner", "--root", str(root)]) == 1
    assert "known: acid-outer-layer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("masks", "bright", "says"), [(True, "polygon", 0), (False, "polygon", 1), (False, "rectangle", 0)]
)
def test_check_says_where_polygons_are_only_boxes(tmp_path: Path, masks: bool, bright: str, says: int) -> None:
    folder = analytic.write_function(tmp_path / "analytic", analytic.model(masks=masks), bright=bright)
    text = check._load_weights(folder, ModelConfig.load(folder / "model.yaml"))
    assert text.count("polygons follow the boxes' sides") == says


@pytest.mark.parametrize("value", ["any", "Polygon", "", "[polygon]"])
def test_a_label_of_another_type_is_refused(root: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    replace(root / "labelmaps" / "inner-layer.yaml", "type: rectangle\n", f"type: {value}\n")
    assert cli.main(["sync", "--root", str(root)]) == 1
    assert "must be one of rectangle, polygon" in capsys.readouterr().err


def test_sync_keeps_what_ops_wrote(root: Path) -> None:
    path = root / "functions" / "inner-layer" / "function.yaml"
    replace(path, "  env:\n", "  env:\n    # our camera\n    - name: PCB_AOI_UM_PER_PX\n      value: '10'\n")
    replace(root / "labelmaps" / "inner-layer.yaml", "zh: 开路", "zh: 断线")
    assert cli.main(["sync", "--root", str(root), "--check"]) == 1
    assert cli.main(["sync", "--root", str(root)]) == 0
    text = path.read_text("utf-8")
    assert "# our camera" in text
    assert "断线" in text
    assert "开路" not in text


@pytest.mark.parametrize("file", generated.FUNCTION_FILES)
def test_sync_writes_the_version_into_the_tags_of_our_images(root: Path, file: str) -> None:
    path = root / "functions" / "inner-layer" / file
    before = path.read_text("utf-8")
    replace(path, f":{__version__}-", ":9.9.9-")
    assert cli.main(["sync", "--root", str(root), "--check"]) == 1
    assert cli.main(["check", "--root", str(root), "--static"]) == 1
    assert cli.main(["sync", "--root", str(root)]) == 0
    assert path.read_text("utf-8") == before


def test_sync_leaves_images_of_another_name(root: Path) -> None:
    path = root / "functions" / "inner-layer" / "function.yaml"
    replace(path, f"image: pcb-aoi-inner-layer:{__version__}-cpu", "image: our-inner-layer:7.1-cpu")
    assert cli.main(["sync", "--root", str(root), "--check"]) == 0


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("score", [True, False])
def test_raw_labels_match_the_models_by_name_and_attribute(
    root: Path, language: str, score: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """CVAT's dialog matches exact names of compatible type by itself."""
    words = ["sync", "inner-layer", "--root", str(root), "--language", language]
    assert cli.main([*words, "--score" if score else "--no-score"]) == 0
    capsys.readouterr()
    assert cli.main(["labels", "inner-layer", "--root", str(root)]) == 0
    raw = json.loads(capsys.readouterr().out)
    record = FunctionFile.load(root / "functions" / "inner-layer" / "function.yaml").record()
    model = cvat.listed(record, "2026")
    task = [cvat.Label(x["name"], x["type"], tuple(cvat.Attribute(a["name"]) for a in x["attributes"])) for x in raw]
    mapping = cvat.default_mapping(model, task)
    name = {"zh": "置信度", "en": "confidence"}[language]
    assert list(mapping) == [label.name for label in model]
    assert all(dict(one["attributes"]) == ({name: name} if score else {}) for one in mapping.values())
    attributes = [attribute for label in raw for attribute in label["attributes"]]
    assert len(attributes) == (len(raw) if score else 0)
    assert all({"name", "input_type", "mutable", "values", "default_value"} == set(one) for one in attributes)


def test_general_words_and_back(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.yaml")}
    assert cli.main(["sync", "--root", str(root), "--names", "general"]) == 0
    config = ModelConfig.load(root / "functions" / "inner-layer" / "model.yaml")
    assert config.names == ("开路", "短路", "缺口", "针孔", "毛刺", "残铜", "划伤", "杂物")
    assert cli.main(["sync", "--root", str(root), "--check"]) == 0
    assert cli.main(["sync", "--root", str(root), "--names", "factory"]) == 0
    assert {path: path.read_bytes() for path in root.rglob("*.yaml")} == before


def test_a_label_can_be_left_out_of_the_dialog(root: Path) -> None:
    folder = root / "functions" / "inner-layer"
    replace(folder / "model.yaml", "en: Nick}", "en: Nick, offer: false}")
    assert cli.main(["sync", "--root", str(root)]) == 0
    spec = json.loads(FunctionFile.load(folder / "function.yaml").metadata["annotations"]["spec"])
    assert [label["name"] for label in spec] == ["开路", "微短", "针孔", "毛边单", "铜渣", "刮花", "杂物_重"]
    assert ModelConfig.load(folder / "model.yaml").slugs[2] == "nick"  # the weights have it still
    assert cli.main(["check", "--root", str(root), "--static"]) == 0


def test_a_new_label_of_the_labelmap_is_not_offered_before_weights_answer_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "labelmaps" / "inner-layer.yaml"
    definition = "{zh: 树脂, en: resin}"
    new = f'  - {{slug: resin, zh: 树脂, en: Resin, color: "#123456", aliases: [], definition: {definition}}}\n'
    path.write_text(path.read_text("utf-8") + new, "utf-8")
    assert cli.main(["sync", "--root", str(root), "--check"]) == 0
    (root / "functions" / "inner-layer" / "model.onnx").symlink_to(ROOT / "functions" / "inner-layer" / "model.onnx")
    assert cli.main(["check", "--root", str(root), "--function", "inner-layer", "--static"]) == 0
    assert re.search(r"without weights\): 毛边微短 .* 树脂", capsys.readouterr().out)


def test_labels_of_an_unknown_function_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["labels", "inner", "--root", str(ROOT)]) == 1
    assert "known: acid-outer-layer" in capsys.readouterr().err


def mutate_map(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: replace(root / "labelmaps" / "inner-layer.yaml", old, new)


def mutate(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: replace(root / "functions" / "inner-layer" / file, old, new)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "mistyped key": (mutate("function.yaml", "eventTimeout", "eventTimeOut"), "unknown key 'eventTimeOut'"),
    "mistyped trigger key": (mutate("function.yaml", "numWorkers", "numWorker"), "unknown key 'numWorker'"),
    "trailing comma": (mutate("function.yaml", "[]}\n      ]", "[]},\n      ]"), "spec is not JSON"),
    "spec by hand": (mutate("function-gpu.yaml", '"name": "开路"', '"name": "开"'), "run `pcb-aoi sync`"),
    "no description": (mutate("function.yaml", "  description:", "  handlers:"), "unknown key 'handlers'"),
    "type": (mutate("function.yaml", "type: detector", "type: classifier"), "type must be 'detector'"),
    "project": (mutate("function.yaml", "project-name: cvat", "project-name: default"), "must be 'cvat'"),
    "port": (mutate("function.yaml", "port: 32101", "port: 32102"), "port must be 32101"),
    "body size": (mutate("function.yaml", "maxRequestBodySize: 268435456", "maxRequestBodySize: 33554432"), "boards"),
    "workers": (mutate("function.yaml", "maxWorkers: 1", "maxWorkers: 2"), "same value"),
    "no health check": (mutate("function.yaml", "kind: HEALTHCHECK", "kind: LABEL"), "no health check that waits"),
    "health check that takes any answer": (
        mutate("function-gpu.yaml", "b' 200 ' not in s.recv(64)", "not s.recv(64)"),
        "no health check that waits",
    ),
    "commands replace directives": (
        mutate("function.yaml", "    directives:", "    commands: [pip install x]\n    directives:"),
        "unknown key 'commands'",
    ),
    "gpu on cpu": (mutate("function.yaml", "value: cpu", "value: cuda"), "PCB_AOI_DEVICE must be 'cpu'"),
    "gpu without a gpu": (mutate("function-gpu.yaml", "nvidia.com/gpu: 1", "cpu: 2"), "must be 1"),
    "quote in env": (mutate("function.yaml", "value: cpu", 'value: cpu\n    - name: A\n      value: "it\'s"'), "quote"),
    "number in env": (
        mutate("function.yaml", "value: cpu", "value: cpu\n    - name: A\n      value: 1"),
        "text in quotes",
    ),
    "label that no labelmap has": (
        mutate("model.yaml", "slug: open", "slug: opened"),
        "no label 'opened'.*offer: false",
    ),
    "label left out by hand": (mutate("model.yaml", "en: Open}", "en: Open, offer: false}"), "run `pcb-aoi sync`"),
    "offer": (mutate("model.yaml", "en: Open}", "en: Open, offer: no thanks}"), "offer must be true or false"),
    "words": (mutate("model.yaml", "head: pcb", "head: pcb\nnames: local"), "factory, general"),
    "model key": (mutate("model.yaml", "overlap:", "overlaps:"), "unknown key 'overlaps'|missing key 'overlap'"),
    "head": (mutate("model.yaml", "head: pcb", "head: yolo"), "head must be one of pcb, yolov8"),
    "tile": (mutate("model.yaml", "tile: 640", "tile: 650"), "multiple of 32"),
    "overlap": (
        mutate("model.yaml", "overlap: 128", "overlap: 400"),
        r"overlap: expected a whole number in \[0, 320\]",
    ),
    "threshold": (mutate("model.yaml", "threshold: 0.5", "threshold: 1.5"), "threshold: expected a number"),
    "pitch": (mutate("model.yaml", "native: 20.8", "native: 90"), "min <= native <= max"),
    "weights elsewhere": (mutate("model.yaml", "weights: model.onnx", "weights: ../m.onnx"), "in the function folder"),
    "language": (mutate("model.yaml", "language: zh", "language: de"), "zh, en"),
    "key twice": (mutate("model.yaml", "head: pcb", "head: pcb\nhead: pcb"), "key 'head' is given twice"),
    "alias bomb": (mutate("model.yaml", "head: pcb", "head: &a [x]\nversion: *a"), "aliases are not allowed|twice"),
    "exclusive label": (
        mutate("model.yaml", "head: pcb", "head: pcb\nexclusive: [[open, hole]]"),
        "exclusive: 'hole' is none of the labels",
    ),
    "a threshold's label": (
        mutate("model.yaml", "head: pcb", "head: pcb\nthresholds: {hole: 0.6}"),
        "thresholds: .*'hole' is none of the labels open",
    ),
    "a threshold": (
        mutate("model.yaml", "head: pcb", "head: pcb\nthresholds: {开路: 1.6}"),
        "thresholds: 开路: expected a number",
    ),
    "a label's threshold twice": (
        mutate("model.yaml", "head: pcb", "head: pcb\nthresholds: {open: 0.6, 开路: 0.7}"),
        "'open' is given twice, the second time as '开路'",
    ),
    "thresholds in the environment": (
        mutate("function.yaml", "  env:\n", "  env:\n    - name: PCB_AOI_THRESHOLDS\n      value: '{\"hole\": 0.6}'\n"),
        "function.yaml: env: .*'hole' is none of the labels",
    ),
    "a variable in the environment": (
        mutate("function.yaml", "  env:\n", "  env:\n    - name: PCB_AOI_THRESHOLDZ\n      value: '1'\n"),
        "unknown environment variable PCB_AOI_THRESHOLDZ",
    ),
    "exclusive list": (mutate("model.yaml", "head: pcb", "head: pcb\nexclusive: [open]"), "list of lists"),
    "not yaml": (mutate("model.yaml", "model: inner", "model: [inner"), "model.yaml"),
    "duplicate name": (mutate_map("zh: 微短", "zh: 开路"), "'开路' is given twice"),
    "duplicate general word": (mutate_map("general: 短路", "general: 开路"), "general: '开路' is given twice"),
    "duplicate slug": (mutate_map("slug: short", "slug: open"), "'open' is given twice"),
    "colour": (mutate_map('"#e6194b"', '"red"'), "color must look like"),
    "no english": (mutate_map("    en: Open\n", ""), "missing key 'en'"),
    "port taken": (mutate_map("port: 32101", "port: 32102"), "'32102' is given twice"),
    "id": (mutate_map("id: pcb-inner-layer", "id: PCB_inner"), "lower-case"),
    "main.py does not import": (mutate("main.py", "from pcb_aoi", "from somewhere"), "cannot be imported"),
    "main.py ends the process": (mutate("main.py", "FOLDER =", "raise SystemExit(3)\nFOLDER ="), "SystemExit: 3"),
    "no handler": (mutate("main.py", "def handler(", "def handle("), "must define handler"),
    "no init_context": (mutate("main.py", "def init_context(", "def init("), "looks for init_context"),
    "handler defined elsewhere": (
        mutate("main.py", "def handler(context, event):", "handler = nuclio.handle\n\n\ndef unused(context, event):"),
        r"looks for init_context in the module that handler was defined in \(pcb_aoi.nuclio\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_names_the_fault(root: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    damage(root)
    finding = next(check.check(root, ["inner-layer"], load_weights=False))
    assert finding.state == "error", finding
    assert re.search(message, finding.text), finding.text


def test_a_byte_order_mark_is_no_fault(root: Path) -> None:
    path = root / "functions" / "inner-layer" / "model.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert ModelConfig.load(path).model == "inner-layer"


def test_a_function_without_weights_is_reported_and_no_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--root", str(root), "--static"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FUNCTIONS)
    assert all("no weights" in line for line in lines)


def test_one_bad_function_fails_the_check_and_the_others_are_still_told(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS["port"][0](root)
    assert cli.main(["check", "--root", str(root), "--static"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == len(FUNCTIONS)


def test_the_repository_passes_its_own_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--root", str(ROOT)]) == 0, capsys.readouterr().out


def test_check_elsewhere_says_where_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--root", str(tmp_path)]) == 1
    assert "use --root" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"PCB_AOI_TRESHOLD": "0.3"}, "unknown environment variable PCB_AOI_TRESHOLD"),
        ({"PCB_AOI_THRESHOLD": "high"}, "must be a number"),
        ({"PCB_AOI_THRESHOLD": "1.5"}, r"in \[0, 1\]"),
        ({"PCB_AOI_THRESHOLD": "nan"}, r"in \[0, 1\]"),
        ({"PCB_AOI_THRESHOLDS": "0.6"}, "must be JSON such as"),
        ({"PCB_AOI_THRESHOLDS": "{'open': 0.6}"}, "must be JSON such as"),
        ({"PCB_AOI_THRESHOLDS": '{"open": 0.6, "open": 0.7}'}, "'open' is given twice"),
        ({"PCB_AOI_DEVICE": "gpu"}, "one of cpu, cuda"),
        ({"PCB_AOI_BAD_FRAME": "ignore"}, "one of skip, error"),
        ({"PCB_AOI_BATCH": "2.5"}, "must be a number"),
    ],
)
def test_a_wrong_setting_stops_the_start(env: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.from_env(env)


def test_settings_come_from_the_environment() -> None:
    env = {"PCB_AOI_THRESHOLD": " 0.3 ", "PCB_AOI_DEVICE": "cuda", "PCB_AOI_UM_PER_PX": "", "PATH": "x"}
    assert Settings.from_env(env) == Settings(threshold=0.3, device="cuda")
