"""The error tree: what the client may read, what the log keeps, and under which HTTP status.

`str(error)` is public: short, without paths, tracebacks or internals. `detail` is for the log alone.
`code` is stable: log filters and the READMEs' table of cures rely on it.
"""


class PcbAoiError(Exception):
    """Root of everything this package raises on purpose."""

    code = "internal"
    status = 500

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class BadRequest(PcbAoiError):
    """The request is not what CVAT sends: body, fields or threshold."""

    code = "bad_request"
    status = 400


class TooLarge(PcbAoiError):
    """The image is larger than the configured limit, in bytes or in pixels."""

    code = "too_large"
    status = 413


class FrameError(PcbAoiError):
    """The frame cannot be read. `PCB_AOI_BAD_FRAME=skip` turns these into an empty answer."""

    code = "bad_image"
    status = 422


class UnsupportedImage(FrameError):
    """The bytes are no image, or one of a format that is not read."""

    code = "unsupported_image"
    status = 415


class BadImage(FrameError):
    """The image is of a known format, but no pixel of it decodes."""


class DeadlineExceeded(PcbAoiError):
    """The answer would come after CVAT has given up."""

    code = "deadline"
    status = 503


class OutOfMemory(PcbAoiError):
    """The device has no memory left, even for the smallest batch."""

    code = "out_of_memory"
    status = 503


class ModelError(PcbAoiError):
    """The weights cannot be used or gave impossible numbers."""

    code = "model_error"


class MissingWeights(ModelError):
    """The function folder has no weights yet."""

    code = "missing_weights"


class NoModel(ModelError):
    """A call came to a worker whose `init_context` did not run: nuclio did not find it."""

    code = "no_model"


class ConfigError(PcbAoiError):
    """A file or an environment variable of the deployment is wrong; names the file and the key."""

    code = "bad_config"
