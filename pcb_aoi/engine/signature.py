"""What an ONNX file says of itself: its inputs, outputs and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Port:
    """An input or output of a network; lengths that the file leaves open are names or None."""

    name: str
    shape: Shape
    type: str
    """As ONNX Runtime writes it: `tensor(float)`."""

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True)
class Signature:
    """What a network says of itself without running."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]

    @property
    def family(self) -> str | None:
        """LibreYOLO's name of the kind of network."""
        return self.metadata.get("model_family", "").lower() if "libreyolo_version" in self.metadata else None

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.inputs))} -> {', '.join(map(str, self.outputs))}"
