"""twin: `pcb-aoi check` refuses an int8 file that answers otherwise than the weights it stands for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import analytic
import pytest
from PIL import Image

from pcb_aoi.commands import twin
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine.choice import TWIN_OF
from pcb_aoi.errors import ModelError


@pytest.mark.parametrize("same", [True, False], ids=["a twin that agrees", "one that sees half of it"])
def test_both_are_compared_on_the_samples(tmp_path: Path, same: bool) -> None:
    folder = analytic.write_function(tmp_path / "analytic")
    config = ModelConfig.load(folder / "model.yaml")
    # Of another zoom: the same net, whose boxes are rounded to a coarser grid, and whose cells are fewer.
    content = analytic.model(zoom=1 if same else 8, stride=8 if same else 4, metadata={TWIN_OF: str(config.sha256)})
    (folder / "model-int8.onnx").write_bytes(content)
    text = (folder / "model.yaml").read_text("utf-8")
    line = f'int8: "{hashlib.sha256(content).hexdigest()}"\nlanguage:'
    (folder / "model.yaml").write_text(text.replace("language:", line), "utf-8")
    samples = tmp_path / "samples"
    samples.mkdir()
    Image.fromarray(analytic.board(112, 192, [(20, 20, 45, 47), (100, 50, 127, 77)])).save(samples / "a.png")
    config = ModelConfig.load(folder / "model.yaml")
    if same:
        assert twin.compare(samples, folder, config).endswith(": 4/4")
        return
    with pytest.raises(ModelError, match=r"int8 .*disagree"):
        twin.compare(samples, folder, config)
