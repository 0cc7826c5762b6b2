"""The command line as a value."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path

import pytest

from deploy import options, say

ROOT = Path(__file__).resolve().parents[2]


def parse(*words: str, cwd: Path = Path("/somewhere")) -> options.Options:
    return options.parse(list(words), ROOT, cwd)


def test_what_is_not_said_has_its_default() -> None:
    assert parse("status") == options.Options(root=ROOT, cwd=Path("/somewhere"), command="status")


def test_everything_at_once() -> None:
    chosen = parse(
        *("up", "--platform", "local", "--gpu", "--dry-run", "--function", "inner-layer", "--function", "gold-osp"),
        *("--allow", "10.0.0.0/8", "--allow", "fd00::/8", "--language", "en", "--host", "::1", "--port", "9000"),
        *("--registry", "r/p", "--no-pull", "--with-dashboard", "--extra", "train", "--bundle", "b", "--output", "o"),
    )
    assert chosen == options.Options(
        root=ROOT, cwd=Path("/somewhere"), command="up", platform="local", gpu=True, dry_run=True,
        functions=("inner-layer", "gold-osp"), allow=("10.0.0.0/8", "fd00::/8"), language="en", host="::1", port=9000,
        registry="r/p", bundle=Path("/somewhere/b"), output=Path("/somewhere/o"), no_pull=True, with_dashboard=True,
        extras=("train",),
    )  # fmt: skip
    assert {field.name for field in fields(chosen) if getattr(chosen, field.name) == field.default} == set()


@pytest.mark.parametrize("option", ["bundle", "output"])
def test_a_path_starts_where_the_user_stands(option: str) -> None:
    assert getattr(parse("bundle", f"--{option}", "../现场 a.tar"), option) == Path("/somewhere/../现场 a.tar")
    assert getattr(parse("bundle", f"--{option}", "/mnt/a.tar"), option) == Path("/mnt/a.tar")


@pytest.mark.parametrize(
    "words", [["up", "--port", "٣٣"], ["up", "--port", "-1"], ["up", "--extra", "gpu"], ["up", ""]]
)
def test_nonsense_is_2(words: list[str]) -> None:
    with pytest.raises(say.Fatal) as caught:
        parse(*words)
    assert caught.value.status == 2


def test_the_usage_has_every_command_and_option() -> None:
    page = options.usage(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    for word in (*options.COMMANDS, *options._FLAGS, *options._VALUES, *options._REPEATED):
        assert f"  {word}" in page
    assert "部署" in page
    english = options.usage(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert english.isascii()
    assert len(english.splitlines()) == 2 + 3 + 1 + len(options.COMMANDS) + len(options._OPTIONS) - 1
