"""Running other programs, and printing what would be run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import say, shell


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=3))
def test_a_shell_reads_back_what_is_printed(words: list[str]) -> None:
    line = shell.quoted(["printf", "%s\\0", *words]) if words else "true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{word}\0" for word in words)


def test_plain_words_are_left_plain() -> None:
    words = ["pip", "install", ".[serve,cpu]", "/check out", "--allow=10.0.0.0/8", "检测"]
    assert shell.quoted(words) == r"pip install .\[serve\,cpu\] /check\ out --allow=10.0.0.0/8 检测"


def test_a_dry_run_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run(["touch", tmp_path / "file"], dry_run=True) == 0
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == f"+ touch {tmp_path}/file\n"


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -TERM $$", 143)])
def test_a_failure_is_the_commands_status(command: str, status: int) -> None:
    with pytest.raises(say.Fatal) as caught:
        shell.run(["sh", "-c", command])
    assert caught.value.status == status


def test_a_failure_may_be_the_callers_to_judge() -> None:
    assert shell.run(["sh", "-c", "exit 7"], check=False) == 7


def test_a_program_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run(["no-such-program"], check=False) == 127
    assert "no such program: no-such-program" in capsys.readouterr().err
    assert shell.output(["no-such-program"]) is None


def test_a_question_has_its_answer_or_none() -> None:
    assert shell.output(["printf", "a\nb\n\n"]) == "a\nb"
    assert shell.output(["false"]) is None
    assert shell.output(["cat"], stdin="板") == "板"


def test_nobody_is_asked(capfd: pytest.CaptureFixture[str]) -> None:
    shell.run([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"])
    assert capfd.readouterr().out == "''\n"
