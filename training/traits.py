"""What training and the renderer must know of labels beyond their names: how defects of a label look and are boxed.

Slugs are those of labelmaps/*.yaml. A slug that a function does not have is passed over.
"""

from __future__ import annotations

LINES = ("scratch", "gold_scratch")
"""Found piece by piece, as they have no size of their own (training/data/pieces.py), and followed where they are
faint."""

LONG = (*LINES, "foreign_object", "film_pinch", "underplating", "crack", "resin_residue")
"""Still themselves when a crop cuts them: what shows is boxed anew."""

COUNTERPARTS = (("open", "short"), ("nick", "spur"), ("pinhole", "residual_copper"))
"""These become each other when copper and laminate are exchanged."""

BRIDGES = ("short",)
"""Of the counterparts, those whose long thin ones may be a slot as a layout has it."""

MARGIN_PX = 3
"""Air round a defect in its box, as annotators leave it, whatever the pitch."""

INNER_MARGIN_PX = 10
"""The same on inner layers: annotators of the public set of this process leave about that much."""
