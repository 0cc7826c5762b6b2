"""The embedded platform: the functions in one process, behind the routes of nuclio's dashboard that CVAT calls."""
