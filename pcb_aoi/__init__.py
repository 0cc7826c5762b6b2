"""PCB defect detectors for CVAT: the engine shared by the five nuclio functions."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pcb-aoi")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
