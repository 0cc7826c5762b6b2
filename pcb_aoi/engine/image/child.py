"""Decoding in a process of its own: what a file costs in time and memory is bounded, whatever it holds.

Decoders are C code that no deadline interrupts, Pillow's switches count for the whole process, and a file of a
megabyte may ask for gigabytes. A child that runs out of time or memory ends alone; the next frame gets a new one.
The pixels come back in a memory file that both sides map: they are not copied a second time.

Sound baseline JPEG and 8-bit PNG files of ordinary size, nearly all that an AOI machine writes, are decoded in place:
what they cost is known by their size, and the way to a child and back would cost as much again.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from pcb_aoi import errors
from pcb_aoi.engine.image import Frame, decode, frame_of, png

MEMORY_MIB = 4096
"""Of a child's own data: 300 megapixels of RGBA need 3.3 GiB, and function.yaml grants 6 GiB to the function."""
SECONDS = 3.0
SECONDS_PER_MP = 0.12
"""CPU time for one picture. JPEG 2000 is the slowest that is honest: 0.06 s a megapixel on an old core."""
FAST_MP = 64.0
"""Megapixels up to which sound files of the two plain formats are decoded in place."""
_HEADER = struct.Struct("<IQ")
_BASELINE, _OTHER_FRAMES = (0xC0, 0xC1), frozenset(range(0xC2, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Decoder:
    """A child process that decodes one file at a time, started when it is first needed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int:
        """Of the child; 0 while there is none."""
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Start the child ahead of the first frame."""
        with self._lock:
            self._connection()

    def decode(self, data: bytes, max_megapixels: float, seconds: float) -> Frame:
        """Decode as `image.decode` does, within `seconds` of wall time.

        Raises:
            FrameError, TooLarge: as `image.decode`.
            TooLarge: decoding takes more CPU time or memory than any honest picture of its size.
            DeadlineExceeded: `seconds` are over.
        """
        frame = _in_place(data, max_megapixels)
        if frame is not None:
            return frame
        with self._lock:
            connection = self._connection()
            connection.settimeout(max(seconds, 0.001))
            try:
                order = json.dumps({"max_megapixels": max_megapixels, "cpu_s": [SECONDS, SECONDS_PER_MP]}).encode()
                connection.sendall(_HEADER.pack(len(order), len(data)) + order)
                connection.sendall(data)
                return _receive(connection)
            except TimeoutError as error:
                self._end()
                raise errors.DeadlineExceeded(
                    f"decoding takes longer than the {seconds:.0f} s that are left"
                ) from error
            except OSError as error:
                raise self._died() from error
            except BaseException as error:
                if not isinstance(error, errors.PcbAoiError):
                    self._end()
                raise

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        self._end()

    def _connection(self) -> socket.socket:
        if self._socket is not None and self._child is not None and self._child.poll() is None:
            return self._socket
        self._end()
        ours, theirs = socket.socketpair()
        with theirs:
            # One thread: the child has nothing to multiply, and every pool reserves memory.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "pcb_aoi.engine.image.child", str(theirs.fileno()), str(MEMORY_MIB)]
            self._child = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._socket = ours
        return ours

    def _died(self) -> errors.PcbAoiError:
        """Say what the child died of."""
        assert self._child is not None
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(5)
        code = self._child.returncode
        self._end()
        if code == -signal.SIGPROF:
            return errors.TooLarge("the image takes too long to decode for its size; save it in another format")
        if code == -signal.SIGKILL:  # the kernel's, or the container's, when memory runs out
            return errors.TooLarge("the image takes too much memory to decode")
        return errors.BadImage("the image ends its decoder", detail=f"exit status {code}")

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._socket = self._child = None


def _in_place(data: bytes, max_megapixels: float) -> Frame | None:
    """Decode a sound file of a plain format; None for any other, and for one that has the least fault."""
    if _is_baseline_jpeg(data):
        kind = "JPEG"
    elif (head := png.header(data)) and head.bits <= 8 and not head.interlaced:
        kind = "PNG"
    else:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as opened:
            if opened.width * opened.height > min(FAST_MP, max_megapixels) * 1e6:
                return None
            opened.load()
            return frame_of(opened)
    except Exception:  # whatever it is, the child judges it, and finds the pixels that decode
        return None


def _is_baseline_jpeg(data: bytes) -> bool:
    """Whether the first frame header is that of a sequential JPEG: a progressive one may have any number of scans."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _BASELINE or marker in _OTHER_FRAMES:
            return marker in _BASELINE
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _receive(connection: socket.socket) -> Frame:
    """Read the child's answer."""
    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
    if not message:
        raise ConnectionResetError("the decoder has gone")
    answer = json.loads(message)
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"], detail=answer["detail"])
    with open(descriptors[0], "rb") as file:  # noqa: PTH123 - a descriptor, no path
        pixels: Any = np.frombuffer(
            mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ), np.uint8
        )
    return Frame(pixels.reshape(answer["shape"]), answer["format"], answer["mode"], answer["truncated"])


def serve(connection: socket.socket, memory_mib: int) -> None:
    """Decode what comes until the other side is gone."""
    limit = memory_mib << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, even inside a decoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    stream = connection.makefile("rb")
    while head := stream.read(_HEADER.size):
        order_size, size = _HEADER.unpack(head)
        order = json.loads(stream.read(order_size))
        descriptors: list[int] = []
        try:
            answer = _decode(stream.read(size), order, descriptors)
        except errors.PcbAoiError as error:
            answer = {"error": type(error).__name__, "message": str(error), "detail": error.detail[:2000]}
        except MemoryError:
            answer = {"error": "TooLarge", "message": "the image takes too much memory to decode", "detail": ""}
        signal.setitimer(signal.ITIMER_PROF, 0)
        socket.send_fds(connection, [json.dumps(answer).encode()], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _decode(data: bytes, order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    def on_size(megapixels: float) -> None:
        base, each = order["cpu_s"]
        signal.setitimer(signal.ITIMER_PROF, base + each * megapixels)

    on_size(0)
    frame = decode(data, order["max_megapixels"], on_size)
    pixels = np.ascontiguousarray(frame.pixels)
    descriptors.append(os.memfd_create("pixels"))
    view = pixels.reshape(-1).data
    written = 0
    while written < len(view):
        written += os.write(descriptors[0], view[written : written + (1 << 28)])
    return {"shape": pixels.shape, "format": frame.format, "mode": frame.mode, "truncated": frame.truncated}


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        serve(parent, int(sys.argv[2]))
