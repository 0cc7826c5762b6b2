"""PCB defect detectors for CVAT: the engine shared by the five nuclio functions."""

# The one place of the version: pyproject.toml reads it, and `pcb-aoi sync` writes it into the images' tags.
__version__ = "0.2.0"
