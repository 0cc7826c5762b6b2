"""Every command explains itself, and what the user can put right is told in a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs onnx")

import boards.__main__
import training.__main__

COMMANDS = [(package, command) for package in (training.__main__, boards.__main__) for command in package.COMMANDS]


@pytest.mark.parametrize(("package", "command"), COMMANDS)
def test_a_command_explains_itself(package, command, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    if command in ("export", "train"):
        pytest.importorskip("torch", reason="needs the extra `train` (torch)")
    monkeypatch.setattr(sys, "argv", ["x", command, "--help"])
    with pytest.raises(SystemExit, match="0"):
        package.main()
    assert f"{command} [-h]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--data", "absent.zip"], "absent.zip: no such file"),
        (["--pool", "absent"], "absent 里没有板图"),
        ([], "no pictures"),
        (["--data", "{tmp}", "--label", "x"], "--label 'x'"),
    ],
)
@pytest.mark.parametrize(("package", "command"), [(training.__main__, "evaluate"), (boards.__main__, "calibrate")])
def test_what_the_user_can_put_right_is_told_in_a_line(  # type: ignore[no-untyped-def]
    package,  # noqa: ANN001
    command: str,
    more: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = [text.format(tmp=tmp_path) for text in more]
    monkeypatch.setattr(sys, "argv", ["x", command, "resin-plug", *options])
    with pytest.raises(SystemExit, match=complaint):
        package.main()
