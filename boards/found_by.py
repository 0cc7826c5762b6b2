"""Write into samples/*/truth.json which of the shipped weights find every planted defect of each board.

    python -m boards.found_by

`deploy.sh` posts a board to each function after a deployment. Weights that are named there must find all of it;
others, a user's own among them, are asked for a valid answer only. Run it after the weights or the samples changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import smoke
from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import choice, image, response
from pcb_aoi.engine.detector import Detector, UInt8
from pcb_aoi.engine.model import Model

ROOT = Path(__file__).parents[1]


def truth_of(root: Path, function: str) -> dict[str, Any]:
    """Return the function's truth.json as it should be."""
    samples = root / "samples" / function
    truth: dict[str, Any] = json.loads((samples / "truth.json").read_text("utf-8"))
    detectors = shipped(root / "functions" / function)
    for sample in truth["images"]:
        pixels = image.decode((samples / sample["file"]).read_bytes(), Settings().max_megapixels).pixels
        sample["found_by"] = [
            sha256
            for sha256, group in detectors.items()
            if all(finds(detector, pixels, sample["defects"]) for detector in group)
        ]
    return truth


def shipped(folder: Path) -> dict[str, list[Detector]]:
    """Return detectors for each of the folder's weights, by their SHA-256: of an int8 twin too, as either may run."""
    config, settings = ModelConfig.load(folder / "model.yaml"), Settings()
    groups: dict[str, list[Detector]] = {}
    for path in sorted(folder.glob("*.onnx")):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        chosen = replace(config, weights=path.name, sha256=sha256)
        detector = Detector(chosen, Model(weights.read(folder, chosen), chosen, settings), settings)
        groups.setdefault(detector.model.metadata.get(choice.TWIN_OF, sha256), []).append(detector)
    return groups


def finds(detector: Detector, pixels: UInt8, planted: list[dict[str, Any]]) -> bool:
    """Say whether every planted defect is answered, as the call after a deployment judges it."""
    found = detector.detect(pixels, smoke.THRESHOLD).detections
    shapes = response.shapes(found, detector.config, *pixels.shape[:2])
    facts = {"labels": detector.config.names, "slugs": detector.config.slugs}
    return smoke.judge(shapes, planted, facts)[0]


if __name__ == "__main__":
    for path in sorted((ROOT / "samples").glob("*/truth.json")):
        path.write_text(json.dumps(truth_of(ROOT, path.parent.name), indent=1) + "\n", "utf-8")
        print(path)
