"""Reading boards: a KiCad text and a Gerber layer small enough to check by hand."""

from pathlib import Path

import numpy as np
import pytest

from boards.copper import gerber, kicad
from boards.copper.real_artwork import BoardLayer, family_of, is_held_out, load_artwork

BOARD = """(kicad_pcb (version 4) (host test "a (quoted) name")
  (layers (0 F.Cu signal) (1 In1.Cu power) (31 B.Cu signal) (37 F.SilkS user))
  (module part (layer F.Cu) (at 10 10 90)
    (pad 1 smd rect (at 2 0 90) (size 1 3) (layers F.Cu F.Mask))
    (pad 2 thru_hole circle (at -2 0) (size 2 2) (drill 1) (layers *.Cu *.Mask)))
  (segment (start 10 8) (end 10 4) (width 0.5) (layer F.Cu) (net 1))
  (via (at 14 10) (size 1.0) (drill 0.4) (layers F.Cu B.Cu) (net 1))
  (zone (net 2) (layer B.Cu) (filled_polygon (pts (xy 5 5) (xy 15 5) (xy 15 15) (xy 5 15)))))
"""

GERBER = """%FSLAX46Y46*%
%MOMM*%
%LPD*%
%ADD10C,0.500000*%
%ADD11R,2.000000X1.000000*%
D10*
X0Y0D02*
X10000000Y0D01*
D11*
X5000000Y5000000D03*
M02*
"""

DRILL = """M48
METRIC
T1C0.400
T2C1.000
%
T1
X1.0Y2.0
T2
X3.0Y-4.0
X5.0Y5.0G85X6.0Y5.0
M30
"""


def write_board(folder: Path, name: str) -> Path:
    path = folder / name / "raw.kicad_pcb"
    path.parent.mkdir()
    path.write_text(BOARD, encoding="utf-8")
    return path


def test_kicad_layers_hold_their_lines_pads_vias_and_zones(tmp_path: Path) -> None:
    board = kicad.read_kicad(write_board(tmp_path, "maker__one"))
    assert list(board.layers) == ["F.Cu", "In1.Cu", "B.Cu"]
    assert sorted(board.holes) == [(10.0, 12.0, 1.0, 0.5), (14.0, 10.0, 0.5, 0.2)]
    front, inner, back = (
        kicad.draw_layer(board.layers[name], (0.0, 0.0), (200, 200), 10) for name in ("F.Cu", "In1.Cu", "B.Cu")
    )
    assert front[60, 100]  # the segment
    assert not inner[60, 100]
    # The part is turned by 90 degrees: pad 1 lies above it, its long side along x.
    assert front[80, 100]
    assert front[80, 112]
    assert not front[80 + 8, 100 + 3]
    assert front[120, 100]
    assert inner[120, 100]
    assert back[140, 60]
    assert not front[140, 60]
    assert all(layer[100, 140] for layer in (front, inner, back))


@pytest.mark.parametrize("text", ["(kicad_pcb (a)", "(other)", "a)", ""])
def test_broken_boards_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.kicad_pcb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"bracket|KiCad"):
        kicad.read_kicad(path)


def test_gerber_layer_and_drill(tmp_path: Path) -> None:
    pytest.importorskip("gerbonara", reason="reads Gerber files; extra `train`")
    layer, drill = tmp_path / "F.Cu.gbr", tmp_path / "PTH.drl"
    layer.write_text(GERBER, encoding="utf-8")
    drill.write_text(DRILL, encoding="utf-8")
    primitives, box = gerber.read_gerber(layer)
    assert box == pytest.approx((-0.25, -0.25, 10.25, 5.5))
    mask = gerber.draw_gerber(primitives, box, 10)
    assert mask[int((5.5 - 0.0) * 10), 50]  # the line, y up in the file and down in the picture
    assert mask[int((5.5 - 5.0) * 10), 52]
    assert not mask[30, 50]
    assert gerber.read_drill(drill) == [(1.0, 2.0, 0.2), (3.0, -4.0, 0.5), (5.0, 5.0, 0.5)]


def test_crops_turn_holes_and_pads_with_the_copper() -> None:
    mask = np.zeros((400, 400), np.uint8)
    mask[90:110, 280:320] = 1  # one pad, hole in its middle
    layer = BoardLayer(
        "maker",
        "maker/F.Cu",
        mask,
        np.array([[300, 100, 10, 4]], np.float32),
        np.array([[300, 100, 40, 20]], np.float32),
    )
    hit = 0
    for seed in range(30):
        crop = layer.crop((200, 200), 25.0, np.random.default_rng(seed))
        assert crop.copper.shape == (200, 200)
        (x, y, pad, hole), (px, py, w, h) = crop.vias[0], crop.pads[0]
        assert (pad, hole) == (5, 2)
        assert (px, py) == pytest.approx((x, y))
        assert sorted((w, h)) == [10, 20]
        if 12 < x < 188 and 12 < y < 188:
            hit += 1
            assert crop.copper[int(y), int(x)]
            assert crop.copper[int(y), int(x + w / 2 - 2)]
            assert not crop.copper[int(y), int(x + w / 2 + 2)]
            assert not crop.copper[int(y + h / 2 + 2), int(x)]
    assert hit > 5


def test_boards_of_a_family_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    makers = [f"maker{index}" for index in range(12)]
    for maker in makers:
        for board in ("one", "two"):
            write_board(tmp_path, f"{maker}__{board}")
    train, test = load_artwork(tmp_path, held_out=False), load_artwork(tmp_path, held_out=True)
    assert {layer.family for layer in train} | {layer.family for layer in test} == set(makers)
    assert not {layer.family for layer in train} & {layer.family for layer in test}
    assert len(test) < len(train)
    assert all("In1" in layer.name for layer in load_artwork(tmp_path, inner=True))
    assert not any("In1" in layer.name for layer in load_artwork(tmp_path, inner=False))
    assert family_of("ESP32-EVB-rev-a") == family_of("OLIMEX__ESP32-PoE")
    assert is_held_out("secalot")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no board"):
        load_artwork(tmp_path)
