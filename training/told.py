"""What the user can put right: told in one line, without a traceback."""

from __future__ import annotations

from pcb_aoi.errors import PcbAoiError
from training.annotated.annotations import AnnotationError
from training.annotated.export_archive import ArchiveError
from training.annotated.formats import FormatError
from training.annotated.label_names import UnknownLabelError
from training.data.store import NoBoards
from training.weights.model_file import ModelFileError

TOLD = (
    AnnotationError,
    ArchiveError,
    FormatError,
    ModelFileError,
    NoBoards,
    PcbAoiError,
    UnknownLabelError,
)
