"""soup: the mean of weights by their shares, and of what they learnt nothing is forgotten."""

import argparse
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from training import soup  # noqa: E402


def checkpoint(
    path: Path,
    value: float,
    learnt: str,
    slugs: tuple[str, ...] = ("a", "b"),
    joined: tuple[str, ...] = ("b",),
    bright_copper: bool = True,
) -> Path:
    average = {
        "w": torch.full((3,), value),
        "count": torch.tensor(int(value)),
        "head8.labels.weight": torch.full((2, 3, 1, 1), value),
    }
    saved = {"average": average, "slugs": list(slugs), "joined": list(joined), "learnt": [learnt], "before": ["x."]}
    torch.save(saved | {"bright_copper": bright_copper}, path)
    return path


def test_weights_are_averaged_by_their_shares(tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "a.pt", 1.0, "one."), checkpoint(tmp_path / "b.pt", 5.0, "other.")
    mean = soup.average([soup.parse(f"{one}=3"), soup.parse(str(other))])
    assert mean["average"]["w"].tolist() == [2.0, 2.0, 2.0]
    assert mean["average"]["count"] == 1
    assert (mean["learnt"], mean["before"], mean["joined"]) == (["one.", "other."], ["x."], ["b"])
    assert mean["bright_copper"]


def test_a_label_that_one_learnt_in_pieces_keeps_its_outputs(tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "a.pt", 1.0, "one."), checkpoint(tmp_path / "b.pt", 5.0, "other.", joined=())
    mean = soup.average([(one, 1.0), (other, 1.0)])
    assert mean["average"]["head8.labels.weight"][:, 0, 0, 0].tolist() == [3.0, 1.0]
    assert mean["joined"] == ["b"]


def test_what_cannot_be_averaged_is_refused(tmp_path: Path) -> None:
    one = checkpoint(tmp_path / "a.pt", 1.0, "one.")
    other = checkpoint(tmp_path / "b.pt", 1.0, "one.", ("a", "c"))
    with pytest.raises(ValueError, match="different labels"):
        soup.average([(one, 1.0), (other, 1.0)])
    dark = checkpoint(tmp_path / "c.pt", 1.0, "one.", bright_copper=False)
    with pytest.raises(ValueError, match="copper is bright"):
        soup.average([(one, 1.0), (dark, 1.0)])
    with pytest.raises(ValueError, match="positive"):
        soup.average([(one, 1.0), (one, -1.0)])
    with pytest.raises(argparse.ArgumentTypeError, match="CHECKPOINT=SHARE"):
        soup.parse("a.pt=much")
