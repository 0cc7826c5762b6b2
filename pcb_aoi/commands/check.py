"""`pcb-aoi check`: what is wrong with the function folders, found before they can break CVAT's Models page."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pcb_aoi import nuclio
from pcb_aoi.config import function_yaml, generated, thresholds, yaml_file
from pcb_aoi.config.function_file import FunctionFile
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.errors import ConfigError, MissingWeights, PcbAoiError


@dataclass(frozen=True)
class Finding:
    """What `check` says of one function: `ok`, `missing` (no weights yet) or `error`."""

    function: str
    state: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi check`."""
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")
    parser.add_argument("--function", action="append", metavar="NAME", help="check this one only; may be repeated")
    parser.add_argument("--static", action="store_true", help="do not load the weights (needs no ONNX Runtime)")


def run(args: argparse.Namespace) -> int:
    """Print a line a function; return 1 if any has an error. One without weights is reported, not an error."""
    findings = list(check(args.root, args.function, load_weights=not args.static))
    marks = {"ok": "通过 ok     ", "missing": "无权重 none ", "error": "错误 error  "}
    for finding in findings:
        print(f"{marks[finding.state]} {finding.function:22} {finding.text}")
    return int(any(finding.state == "error" for finding in findings))


def check(root: Path, names: list[str] | None = None, *, load_weights: bool = True) -> Iterator[Finding]:
    """Check every function folder under `root`, or the named ones.

    Raises:
        ConfigError: there is no such function.
    """
    known = sorted({p.stem for p in (root / "labelmaps").glob("*.yaml")})
    known += sorted({p.parent.name for p in (root / "functions").glob("*/function.yaml")} - set(known))
    if not known:
        raise ConfigError(
            f"no labelmaps/ and functions/ in {root.resolve()}; run in the project's folder or use --root"
        )
    for name in names or known:
        if name not in known:
            raise ConfigError(f"no function {name!r}; known: {', '.join(known)}")
        yield _check_function(root, name, load_weights)


def ids_and_ports(root: Path) -> None:
    """Raise ConfigError when two functions share an id or a port: the second deployment would replace the first."""
    maps = [Labelmap.load(path) for path in sorted((root / "labelmaps").glob("*.yaml"))]
    yaml_file.unique(f"{root / 'labelmaps'}: id", [item.id for item in maps])
    yaml_file.unique(f"{root / 'labelmaps'}: port", [str(item.port) for item in maps])


def _check_function(root: Path, name: str, load_weights: bool) -> Finding:
    folder = root / "functions" / name
    try:
        ids_and_ports(root)
        labelmap = Labelmap.load(root / "labelmaps" / f"{name}.yaml")
        if labelmap.function != name:
            raise ConfigError(f"{root / 'labelmaps' / name}.yaml: function must be {name!r}, is {labelmap.function!r}")
        config = ModelConfig.load(folder / "model.yaml")
        _check_folder(folder, labelmap, config)
        text = (_load_weights if load_weights else _read_weights)(folder, config)
    except MissingWeights as error:
        return Finding(name, "missing", f"{error}: 不会出现在CVAT中 / it is left out of CVAT's list")
    except PcbAoiError as error:
        return Finding(name, "error", f"{error}{' | ' + error.detail if error.detail else ''}")
    return Finding(name, "ok", text + _labels(labelmap, config))


def _check_folder(folder: Path, labelmap: Labelmap, config: ModelConfig) -> None:
    if config.model != folder.name:
        raise ConfigError(f"{folder / 'model.yaml'}: model must be {folder.name!r}, is {config.model!r}")
    if not generated.offered(labelmap, config).labels:
        raise ConfigError(f"{folder / 'model.yaml'}: 没有一个标签会出现在CVAT中 / every label has offer: false")
    _check_entry(folder / "main.py")
    for file in generated.FUNCTION_FILES:
        function_yaml.check(folder / file, labelmap, config)
        try:
            thresholds.of(config, Settings.from_env(FunctionFile.load(folder / file).env))
        except ConfigError as error:
            raise ConfigError(f"{folder / file}: env: {error}") from None
    for path, content in generated.contents(folder, labelmap).items():
        if path.read_text("utf-8") != content:
            raise ConfigError(f"{path}: generated parts are not up to date; run `pcb-aoi sync`")


def _check_entry(path: Path) -> None:
    """Import main.py as nuclio does, and look for both entry points where nuclio looks.

    Raises:
        ConfigError: it cannot be imported, or nuclio would not find `handler` or `init_context`.
    """
    try:
        with _imported_alone(path) as module:
            handler = getattr(module, "handler", None)
            found = nuclio.init_context_of(handler)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{path}: 导入失败 / cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(handler):
        raise ConfigError(f"{path}: 没有定义 handler / must define handler, as spec.handler says")
    if found is None:
        where = getattr(handler, "__module__", None)
        raise ConfigError(
            f"{path}: nuclio 在定义 handler 的模块（{where}）里找 init_context，那里没有，模型不会加载；"
            "请在 main.py 里用 def 定义这两个函数 / nuclio looks for init_context in the module that handler was "
            f"defined in ({where}); there is none, and it would load no model: define both in main.py with def"
        )


@contextmanager
def _imported_alone(path: Path) -> Iterator[ModuleType]:
    """Import a main.py under a name of its own, with its folder first on the path, and leave nothing of it behind.

    All five are called main, and may have modules of equal names beside them: the next one must not find those of
    the one before. nuclio would copy byte code into the image.
    """
    folder = path.resolve().parent
    name = f"pcb_aoi_check_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError("main.py is missing")
    module = importlib.util.module_from_spec(spec)
    byte_code, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.dont_write_bytecode = byte_code
        sys.path.remove(str(folder))
        beside = [key for key, item in sys.modules.items() if _lies_in(folder, item)]
        for key in beside:
            del sys.modules[key]


def _lies_in(folder: Path, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).resolve().parent.is_relative_to(folder)


def _labels(labelmap: Labelmap, config: ModelConfig) -> str:
    """Say which labels of the labelmap CVAT is not offered, and why."""
    text = ""
    named = zip(config.names, config.offered, strict=True)
    for names, why in (
        (generated.without_weights(labelmap, config), "权重没有输出 without weights"),
        ([name for name, offer in named if not offer], "offer: false"),
    ):
        if names:
            text += f"\n{'':13}不在CVAT中 not in CVAT ({why}): {' '.join(names)}"
    return text


def _read_weights(folder: Path, config: ModelConfig) -> str:
    from pcb_aoi.config import weights

    size = len(weights.read(folder, config))
    return f"{config.version}, {sum(config.offered)} 个标签 labels, {size / 1e6:.1f} MB"


def _load_weights(folder: Path, config: ModelConfig) -> str:
    from pcb_aoi.engine.detector import Detector  # ONNX Runtime: not needed for --static

    model = Detector.load(folder, Settings()).model
    runtime = model.runtime
    text = f"{_read_weights(folder, config)}, {runtime.seconds_per_item * 1e3:.0f} ms/tile ({runtime.provider})"
    if "polygon" in config.types and not model.gives_masks:
        text += "；权重没有掩膜，多边形只是框的四边 / the weights give no masks: polygons follow the boxes' sides"
    return text
