"""A function of the embedded platform: its worker, the calls that wait for it, and what became of the last ones."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from pcb_aoi.config import granted
from pcb_aoi.errors import PcbAoiError
from pcb_aoi.platform import fingerprint
from pcb_aoi.platform.worker import Answer, Call, Worker
from pcb_aoi.tally import Tally

# nuclio's own defaults, used where function.yaml is silent; the body limit is the one our functions set.
DEFAULT_WAIT_MS = 10_000
DEFAULT_MAX_BODY = 256 * 2**20

# A handler that ran out of time gets this much more before its worker is given up.
GRACE_S = 5.0
# Workers that were given up and still run: each keeps a thread and a model.
MAX_GIVEN_UP = 3

WARNING_HEADER = "X-Pcb-Aoi-Warning"


class ServedFunction:
    """One call at a time, the others wait their turn. Use it from one event loop.

    nuclio kills the process of a handler that ran out of time. A thread cannot be killed: its worker is given up and
    a fresh one is loaded from the folder. What is lost until such a thread returns: the thread, the core it may spin
    on, its frame, and the memory of its model, on the GPU too. So at most MAX_GIVEN_UP are given up; after that the
    function answers 503 until one returns or the platform is started anew.
    """

    def __init__(self, folder: Path, file: str = "function.yaml") -> None:
        """Load the folder.

        Raises:
            Exception: as Worker does.
        """
        self.folder = folder
        # Read before the worker: what changes while it loads counts as a change.
        self.fingerprint = fingerprint.of_folder(folder)
        worker = Worker(folder, file)
        self.name = worker.name
        self.record = worker.record
        self.about = worker.about
        # One of our functions counts its own answers, on nuclio too. Here only what it does not see is added.
        own = getattr(worker.context.user_data, "tally", None)
        self.tally: Tally = own or Tally()
        self._counts_itself = own is not None
        self._file = file
        self._logger = worker.logger
        trigger = worker.file.http_trigger
        self.max_body = int(trigger.get("attributes", {}).get("maxRequestBodySize", DEFAULT_MAX_BODY))
        self._wait_s = int(trigger.get("workerAvailabilityTimeoutMilliseconds", DEFAULT_WAIT_MS)) / 1000
        self._timeout_s = worker.file.event_timeout_s
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        self._free.put_nowait(worker)
        self._hung: Worker | None = None
        self._given_up: set[Worker] = set()
        self._stuck = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> str:
        """`ready`, or `unhealthy` from the time a handler runs out of time until there is a worker again."""
        return "unhealthy" if self._hung else "ready"

    async def invoke(self, call: Call) -> Answer:
        """Run the handler once those before it are done; 503 if that takes too long, 408 if it does itself.

        Too long is what the client does not wait for. Where the call does not say, function.yaml does, as on nuclio.
        """
        if self._stuck:
            return Answer.error(503, "hung", f"{self.name}: an earlier call never returned; run ./deploy.sh up")
        most = self._wait_s if call.granted_s is None else granted.usable(call.granted_s)
        try:
            async with asyncio.timeout(call.arrived + most - time.monotonic()):
                worker = await self._free.get()
        except TimeoutError:
            return Answer.error(503, "busy", f"{self.name}: busy for more than {most:g} s")
        started = time.monotonic()
        timeout = self._timeout_s
        if timeout is not None and call.granted_s is not None:
            timeout = max(timeout, call.arrived + call.granted_s - started)
        future = worker.start(call)
        future.add_done_callback(lambda _: self._returned(worker, time.monotonic() - started))
        await asyncio.wait({future}, timeout=timeout)
        if future.done():
            return future.result()
        self._hung = worker
        self._logger.error_with("handler timed out", seconds=timeout, bytes=len(call.body))
        task = asyncio.create_task(self._replace(worker, future))
        self._tasks.add(task)  # the loop itself keeps no reference
        task.add_done_callback(self._tasks.discard)
        return Answer.error(408, "timeout", "handler timed out")

    def _returned(self, worker: Worker, after_s: float) -> None:
        """The handler is back: the next call may have the worker, unless another took its place."""
        if worker is self._hung or worker in self._given_up:
            self._logger.warn_with("hung handler returned", seconds=round(after_s, 1))
        if worker in self._given_up and not self._stuck:
            self._given_up.discard(worker)
            return
        self._given_up.discard(worker)
        self._free.put_nowait(worker)
        self._hung, self._stuck = None, False

    async def _replace(self, worker: Worker, future: asyncio.Future[Answer]) -> None:
        await asyncio.wait({future}, timeout=GRACE_S)
        if future.done():
            return
        self._given_up.add(worker)
        if len(self._given_up) > MAX_GIVEN_UP:
            self._stuck = True
            self._logger.error_with("too many hung handlers", count=len(self._given_up), cure="./deploy.sh up")
            return
        try:
            content = await asyncio.to_thread(fingerprint.of_folder, self.folder)
            fresh = await asyncio.to_thread(Worker, self.folder, self._file)
        except (Exception, SystemExit) as error:
            code, cause = describe(error)
            self._logger.error_with("not replaced", code=code, cause=cause, cure="./deploy.sh up")
            self.tally.trouble(code, cause)
            self._stuck = True
            if future.done():
                self._returned(worker, 0)
            return
        self.record, self.about, self.fingerprint = fresh.record, fresh.about, content
        if self._counts_itself:
            fresh.context.user_data.tally = self.tally
        self._hung = None
        self._free.put_nowait(fresh)
        self._logger.warn_with("hung handler replaced", given_up=len(self._given_up))

    def note(self, answer: Answer) -> None:
        """Count an answer, unless the function has."""
        if self._counts_itself and not answer.code:
            return
        if answer.status >= 400:
            self.tally.fail(answer.status, *read_error(answer))
        else:
            self.tally.answer(warning=answer.headers.get(WARNING_HEADER, ""))

    def terminate(self) -> None:
        """Tell the function that it ends, unless it is in the middle of a call."""
        if not self._free.empty():
            self._free.get_nowait().terminate()


def describe(error: BaseException) -> tuple[str, str]:
    """Name in one line each the code and the cause of a function that does not load."""
    if isinstance(error, PcbAoiError):
        return error.code, f"{error}" + (f" ({error.detail})" if error.detail else "")
    return type(error).__name__, f"{type(error).__name__}: {error}"


def read_error(answer: Answer) -> tuple[str, str]:
    """Return code and cause of an answer in the functions' format, or in the dashboard's."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return answer.code or "unknown", answer.body[:300].decode(errors="replace")
    return str(body.get("code") or answer.code or "unknown"), str(body.get("message") or body.get("error") or "")
