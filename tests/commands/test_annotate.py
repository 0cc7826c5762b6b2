"""`pcb-aoi annotate`: one bad file or number costs no other."""

from __future__ import annotations

import json
from pathlib import Path

import analytic
import pytest
from files import bomb_png, encode

from pcb_aoi import cli


def test_a_frame_over_the_limit_does_not_end_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = analytic.write_function(tmp_path / "analytic")
    board = analytic.board(64, 64, [(10, 10, 30, 30)])
    files = {"bomb.png": bomb_png(20_000, 20_000), "text.png": b"no image", "board.png": encode(board)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert cli.main(["annotate", str(folder), *(str(tmp_path / name) for name in files)]) == 1
    out, err = capsys.readouterr()
    (line,) = map(json.loads, out.splitlines())
    assert [shape["points"] for shape in line["shapes"]] == [[10, 10, 30, 30]]
    assert "bomb.png: image has 400.0 MP" in err


@pytest.mark.parametrize(
    "option", [("--threshold", "nan"), ("--threshold", "1.5"), ("--um-per-px", "0"), ("--um-per-px", "-3")]
)
def test_a_number_that_cannot_be_meant_is_refused(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["annotate", "functions/inner-layer", "x.png", *option])
    assert caught.value.code == 2
    assert "is not in [" in capsys.readouterr().err
