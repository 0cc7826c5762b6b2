"""Images that people annotated: exports of CVAT and published sets, read, checked and cut to training scenes."""
