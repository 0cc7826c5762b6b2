"""The virtual environment: which Python makes it, and when it is made anew."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from deploy import environment, say

HERE = "{}.{}".format(*sys.version_info)


def venv(folder: Path, *, version: str = platform.python_version(), command: str = "", runs: str = HERE) -> Path:
    """An environment as `python -m venv` makes it, in small; `runs` is what its interpreter says it is."""
    (folder / "bin").mkdir(parents=True)
    program(folder / "bin" / "pip", "")
    program(folder / "bin" / "python", f"echo {runs}")
    (folder / "pyvenv.cfg").write_text(
        f"home = /usr/bin\nversion = {version}\ncommand = {command or f'/usr/bin/python3 -m venv --clear {folder}'}\n"
    )
    return folder


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without any Python."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return tmp_path


def python(folder: Path, name: str, version: str, *, ensurepip: bool = True) -> Path:
    lacks = "" if ensurepip else "*ensurepip*) exit 1 ;;"
    program(folder / name, f'case "$*" in {lacks} *version_info*) echo {version} ;; esac')
    return folder / name


def test_a_sound_environment_has_no_fault(tmp_path: Path) -> None:
    assert environment.fault(venv(tmp_path / "a b" / ".venv")) is None


def test_a_moved_or_copied_one_is_named(tmp_path: Path) -> None:
    venv(tmp_path / "first" / ".venv")
    (tmp_path / "first").rename(tmp_path / "second")
    assert "moved or copied" in str(environment.fault(tmp_path / "second" / ".venv"))


def test_a_folder_whose_name_ends_like_the_old_one_is_another(tmp_path: Path) -> None:
    made = venv(tmp_path / "x" / "y" / ".venv", command=f"/usr/bin/python3 -m venv /old{tmp_path}/x/y/.venv")
    assert "moved or copied" in str(environment.fault(made))


def test_an_interpreter_that_went_away_is_named(tmp_path: Path) -> None:
    made = venv(tmp_path / ".venv")
    (made / "bin" / "python").unlink()
    (made / "bin" / "python").symlink_to("/usr/bin/python3.99")
    assert "has gone" in str(environment.fault(made))


def test_an_interpreter_that_was_replaced_is_named(tmp_path: Path) -> None:
    assert "made by Python 3.11.2, now 3.13" in str(
        environment.fault(venv(tmp_path / ".venv", version="3.11.2", runs="3.13"))
    )


def test_a_patch_release_is_the_same_python(tmp_path: Path) -> None:
    assert environment.fault(venv(tmp_path / ".venv", version="3.11.2", runs="3.11")) is None


def test_one_that_was_interrupted_is_not_complete(tmp_path: Path) -> None:
    made = venv(tmp_path / ".venv")
    (made / "bin" / "pip").unlink()
    assert "not complete" in str(environment.fault(made))


def test_a_bundle_asks_for_its_python(tmp_path: Path) -> None:
    made = venv(tmp_path / ".venv", version="3.11.2", runs="3.11")
    assert environment.fault(made, "3.11") is None
    assert "the bundle needs Python 3.12, it has 3.11" in str(environment.fault(made, "3.12"))


def test_the_first_that_is_new_enough_and_has_venv(machine: Path) -> None:
    python(machine, "python3", "3.10")
    python(machine, "python3.13", "3.13", ensurepip=False)
    twelve = python(machine, "python3.12", "3.12")
    assert environment.find_python() == twelve


def test_PYTHON_comes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python(machine, "python3", "3.12")
    own = python(machine, "my python", "3.11")
    monkeypatch.setenv("PYTHON", str(own))
    assert environment.find_python() == own


def test_an_active_environment_makes_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    active = venv(machine / "active")
    program(active / "bin" / "python3", "echo 3.12")
    real = python(machine, "python3", "3.11")
    monkeypatch.setenv("PATH", f"{active}/bin:{machine}")
    monkeypatch.setenv("VIRTUAL_ENV", str(active))
    assert environment.find_python() == real


@pytest.mark.parametrize(
    ("have", "cure"),
    [
        ([("python3", "3.10", True), ("python3.11", "3.11", False)], "sudo apt-get install python3.11-venv"),
        ([("python3", "3.12", False)], "sudo apt-get install python3-venv"),
        ([("python3", "3.10", True)], "this machine has python3 3.10. sudo apt-get install python3 python3-venv"),
        ([], "Python 3.11 or newer is needed"),
    ],
)
def test_the_package_that_is_missing_is_named(
    have: list[tuple[str, str, bool]], cure: str, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, version, ensurepip in have:
        python(machine, name, version, ensurepip=ensurepip)
    with pytest.raises(say.Fatal):
        environment.find_python()
    assert cure in capsys.readouterr().err


def test_the_bundles_python_is_found_or_named(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python(machine, "python3", "3.11")
    with pytest.raises(say.Fatal):
        environment.find_python("3.12")
    said = capsys.readouterr().err
    assert "made by Python 3.12; this machine has python3 3.11" in said
    assert "sudo apt-get install python3.12 python3.12-venv" in said
    twelve = python(machine, "python3.12", "3.12")
    assert environment.find_python("3.12") == twelve


def wheels(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.whl").touch()
    return folder


def test_wheels_say_their_python(tmp_path: Path) -> None:
    here = platform.machine()
    folder = wheels(
        tmp_path / "w", f"numpy-2.4.6-cp312-cp312-manylinux_2_27_{here}.manylinux_2_28_{here}",
        f"psutil-7.2.2-cp36-abi3-manylinux2014_{here}", "starlette-1.10.0-py3-none-any",
        f"ruff-0.17.6-1-py3-none-manylinux_2_17_{here}",
    )  # fmt: skip
    assert environment.wheels_python(folder) == "3.12"
    assert environment.wheels_python(wheels(tmp_path / "any", "starlette-1.10.0-py3-none-any")) == ""


def test_wheels_of_another_machine_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = wheels(tmp_path / "w", "numpy-2.4.6-cp312-cp312-manylinux_2_27_riscv64")
    with pytest.raises(say.Fatal):
        environment.wheels_python(folder)
    assert f"made for riscv64, this machine is {platform.machine()}" in capsys.readouterr().err


def test_what_was_made_while_this_one_waited_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    environment.locked(tmp_path, False).parent.mkdir(parents=True)
    environment.locked(tmp_path, False).touch()
    answers = iter([False, True])
    monkeypatch.setattr(environment, "_done", lambda *_: next(answers))
    assert environment.ensure(tmp_path, False, "serve,cpu") == tmp_path / ".venv"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run", "deploy", "pyproject.toml"]
