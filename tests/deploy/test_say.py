"""Messages: the languages that the terminal's charset allows."""

from __future__ import annotations

import io

import pytest

from deploy import say


@pytest.mark.parametrize(
    ("variables", "charset"),
    [
        ({}, "utf-8"),
        ({"LANG": "C"}, "utf-8"),
        ({"LC_ALL": "POSIX"}, "utf-8"),
        ({"LANG": "zh_CN.UTF-8"}, "utf-8"),
        ({"LC_ALL": "en_US.ISO-8859-1", "LANG": "zh_CN.UTF-8"}, "iso8859-1"),
        ({"LC_ALL": "", "LC_CTYPE": "de_DE.ISO-8859-15@euro", "LANG": "C"}, "iso8859-15"),
        ({"LANG": "zh_CN.GB18030"}, "gb18030"),
        ({"LANG": "zh_TW.Big5"}, "big5"),
    ],
)
def test_the_charset_is_the_locales(variables: dict[str, str], charset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert say.charset() == charset


@pytest.mark.parametrize("text", ["xx_XX.no-such-charset", "en_US"])
def test_a_locale_without_a_known_charset_is_python_s_to_judge(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", text)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="iso8859-2"))
    assert say.charset() == "iso8859-2"


def test_english_alone_where_there_is_no_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(raw, encoding="latin-1"))
    say.warn("磁盘满了：/板", "the disk is full: /board")
    assert raw.getvalue() == b"warning: the disk is full: /board\n"


def test_what_the_charset_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", io.TextIOWrapper(raw, encoding="utf-8"))
    monkeypatch.setenv("LC_ALL", "en_US.ISO-8859-1")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")  # restored after the test
    say.prepare()
    say.info("目录", "checkout /开/\udcff")
    assert raw.getvalue() == b"==> checkout /\\u5f00/\\udcff\n"


def test_fatal_says_it_in_both_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(say.Fatal) as caught:
        say.fatal("没有", "none", status=3)
    assert caught.value.status == 3
    assert capsys.readouterr() == ("", "错误 / error: 没有 / none\n")
