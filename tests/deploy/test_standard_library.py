"""deploy/ runs before anything is installed, and on a bundle's site: it imports the standard library and itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

MODULES = sorted(Path(__file__).parents[2].glob("deploy/*.py"))
# Asked for where the project's own environment runs it, and not at the top of the file.
WITHIN = {"nuclio.py": {"yaml"}, "plan.py": {"yaml"}}


def imported(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_imports_the_standard_library_alone(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 10))
    allowed = sys.stdlib_module_names | {"deploy"} | WITHIN.get(path.name, set())
    assert imported(tree) <= allowed


def test_the_test_sees_the_modules() -> None:
    assert {"__main__.py", "environment.py", "shell.py"} <= {path.name for path in MODULES}
    assert imported(ast.parse("import numpy.linalg\nfrom yaml import x\ndef f():\n import onnx")) == {
        "numpy", "yaml", "onnx",
    }  # fmt: skip
