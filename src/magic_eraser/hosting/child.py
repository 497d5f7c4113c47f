"""A model in a process of its own, as its parent sees it: an `Inpainter` like any other."""

from __future__ import annotations

import logging
import os
import pickle
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import IO, Any

from magic_eraser.errors import Draining, EraserError, InternalError, ModelUnavailable
from magic_eraser.hosting import memory, shared, wire
from magic_eraser.hosting.cores import LOOK_SECONDS, Turn
from magic_eraser.models.card import ModelCard
from magic_eraser.models.inpainter import Hole, Inpainter, InpaintOptions, Pixels
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

STOP_SECONDS = 1.0
"""That a cancelled job is given to stop by itself, before its process is ended."""
CLOSE_SECONDS = 2.0
"""That a process is given to end by itself."""
TAIL = 20
"""Lines of what a process printed that are kept for the day it dies."""


SECRET = re.compile(r"^ERASER_|TOKEN|SECRET|PASSWORD|KEY", re.IGNORECASE)
"""Names of variables that a network has no use for."""


class ChildDied(Exception):
    """The process of a model ended in the middle of something.

    Attributes:
        begun: whether the job had been sent: where not, it may be tried again without a thought.
        error: for the caller, where it is not.
    """

    def __init__(self, error: ModelUnavailable, *, begun: bool) -> None:
        self.error = error
        self.begun = begun
        super().__init__(error.detail)


class ChildInpainter:
    """A model in a child process. It can be asked from several threads; the child works at one job at a time.

    Args:
        card: of the model.
        load, setup: sent to the child, pickled.
        closing: set by whoever owns this when it is to end, even in the middle of a load or a job.

    Raises:
        EraserError: what the loader raised, or `ModelUnavailable` for whatever else went wrong.
    """

    def __init__(
        self, card: ModelCard, load: Callable[[Setup], Inpainter], setup: Setup, closing: threading.Event
    ) -> None:
        self.card = card
        self._closing = closing
        self._turn = Turn()
        self._numbers = count()
        start = pickle.dumps((load, setup))
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = _start(theirs.fileno(), setup.threads)
            except OSError:
                self._socket.close()
                raise
        assert self._process.stdout is not None
        self._printed: deque[str] = deque(maxlen=TAIL)
        self._reader = threading.Thread(
            target=self._read_printed, args=(self._process.stdout,), name=f"printed-{card.id}", daemon=True
        )
        self._reader.start()
        try:
            self._await_load(start)
        except ChildDied as died:
            self.kill()
            raise died.error from None
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory_mb(self) -> int | None:
        """MiB that the process takes now; None where the system does not say."""
        return memory.resident_mb(self.pid)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        return self.inpaint_batch([image], [hole], options, watch)[0]

    def inpaint_batch(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels]:
        """See `BatchInpainter`.

        Raises:
            ChildDied: the process ended, by itself or by somebody else's hand.
        """
        with self._turn.taken(watch):
            outputs = [shared.Form.of(image) for image in images]
            inputs = [*outputs, *(shared.Form.of(hole) for hole in holes)]
            descriptor = shared.create([*inputs, *outputs])
            try:
                arrays = shared.mapped(descriptor, [*inputs, *outputs])
                for array, value in zip(arrays, [*images, *holes], strict=False):  # the outputs stay empty
                    array[...] = value
                number = next(self._numbers)
                facts = {
                    "inputs": wire.forms_to_wire(inputs),
                    "outputs": wire.forms_to_wire(outputs),
                    "options": wire.options_to_wire(options),
                    "seconds": watch.remaining(),
                }
                self._send("job", descriptors=[descriptor], begun=False, job=number, **facts)
            finally:
                os.close(descriptor)
            self._await_job(number, watch)
            return [array.copy() for array in arrays[len(inputs) :]]

    def close(self) -> None:
        """Ask it to end, wait a little, end it."""
        try:
            wire.send(self._socket, {"say": "close"})
            self._process.wait(CLOSE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            log.debug("child_ended_by_force", model=self.card.id, pid=self.pid)
        self.kill()

    def kill(self) -> None:
        """End it now, and leave nothing of it: no process, no descriptor."""
        self._process.kill()
        self._process.wait()
        self._reader.join(CLOSE_SECONDS)
        self._socket.close()

    # --- talking --------------------------------------------------------------------------------------

    def _await_load(self, start: bytes) -> None:
        try:
            self._socket.send(start, socket.MSG_NOSIGNAL)
        except OSError:
            raise self._died(begun=False) from None
        while (message := self._hear(begun=False)) is None:
            if self._closing.is_set():
                raise Draining
        if message["say"] == "failed":
            raise self._failure(message) or ModelUnavailable(
                f'The model "{self.card.id}" could not be loaded: {message["detail"]}.',
                f"无法加载模型“{self.card.id}”：{message['detail']}。",
            )

    def _await_job(self, job: int, watch: Watch) -> None:
        """Until the child is done with it, as the child says, the watch, or whoever closes this."""
        hurried = False
        while True:
            message = self._hear(begun=True)
            try:
                if message is not None and self._is_done(message, watch):
                    return
                watch.check()
            except EraserError:
                if message is None or message["say"] != "failed":
                    self._stop(job)
                raise
            if self._closing.is_set():
                self.kill()
                raise Draining
            if watch.hurry() and not hurried:
                hurried = True
                self._send("hurry", begun=True, job=job)

    def _is_done(self, message: wire.Message, watch: Watch) -> bool:
        """Whether that was its last word; raises what it says went wrong."""
        match message["say"]:
            case "progress":
                watch.progress(message["fraction"])
                return False
            case "done":
                if message["rough"]:
                    watch.mark_rough()
                return True
            case _:
                watch.check()  # stopped because of that, rather than by what came of it
                failure = self._failure(message)
                if failure is None:
                    log.error("model_failed", model=self.card.id, trace=message["trace"])
                    raise InternalError
                raise failure

    def _stop(self, job: int) -> None:
        """Tell the child that nobody wants this any more; where it does not listen, end it."""
        try:
            self._send("cancel", begun=True, job=job)
            end = time.monotonic() + STOP_SECONDS
            while time.monotonic() < end:
                message = self._hear(begun=True)
                if message is not None and message["say"] != "progress":
                    return
        except ChildDied:
            return
        log.warning("child_does_not_stop", model=self.card.id, pid=self.pid)
        self._process.kill()
        self._process.wait()

    def _send(self, say: str, *, begun: bool, descriptors: Sequence[int] = (), **facts: Any) -> None:
        try:
            wire.send(self._socket, {"say": say, **facts}, descriptors)
        except OSError:
            raise self._died(begun=begun) from None

    def _hear(self, *, begun: bool) -> wire.Message | None:
        """What the child says within `LOOK_SECONDS`; None where it says nothing, or only something for the log."""
        poll = select.poll()  # not `select`, which cannot take descriptors above 1023
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(LOOK_SECONDS * 1000):
            return None
        message, _ = wire.receive(self._socket)
        if message is None:
            raise self._died(begun=begun)
        if message["say"] == "log":
            level = logging.getLevelNamesMapping()[message["level"].upper()]
            log.log(level, message["event"], **{**message["fields"], "model": self.card.id})
            return None
        return message

    # --- what went wrong ------------------------------------------------------------------------------

    def _failure(self, message: wire.Message) -> EraserError | None:
        """The error of the tree that it was; None for another one."""
        log.debug("child_failed", model=self.card.id, trace=message["trace"])
        return wire.error_from_wire(message)

    def _died(self, *, begun: bool) -> ChildDied:
        """It has closed its end, so it is on its way out."""
        try:
            code = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(CLOSE_SECONDS)
        last = next((line for line in reversed(self._printed) if line.strip()), "")
        log.warning("child_died", model=self.card.id, pid=self.pid, code=code, printed=list(self._printed))
        return ChildDied(_death(self.card.id, code, last), begun=begun)

    def _read_printed(self, pipe: IO[bytes]) -> None:
        """What native libraries print must not come between the lines of the server's own log."""
        with pipe:
            for line in pipe:
                text = line.decode(errors="replace").rstrip()
                self._printed.append(text)
                log.debug("child_printed", model=self.card.id, text=text)
        self._process.wait()  # seen at once, so that no zombie is left of one that somebody ended


def _start(descriptor: int, threads: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (our own program)
        [sys.executable, "-P", "-m", "magic_eraser.hosting.child_process", str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(threads),
        process_group=0,  # Ctrl-C in a terminal is for the parent
    )


def _death(model: str, code: int, last: str) -> ModelUnavailable:
    if code == -signal.SIGKILL:
        return ModelUnavailable(
            f'The process of the model "{model}" was killed by signal 9: probably memory ran out.',
            f"模型“{model}”的进程被信号 9 终止：可能是内存不足。",
        )
    how, how_zh = f"ended with code {code}", f"以代码 {code} 退出"
    if code < 0:
        how, how_zh = f"was killed by signal {-code}", f"被信号 {-code} 终止"
    said = f": {last}" if last else ""
    return ModelUnavailable(
        f'The process of the model "{model}" {how}{said}.', f"模型“{model}”的进程{how_zh}{said}。"
    )


def environment(threads: int) -> dict[str, str]:
    """The child's environment: ours without our own settings and without what is called like a secret, as it may run
    a stranger's file; how many threads native libraries may start, which they read when they are imported; and where
    Python finds what we find."""
    inherited = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
    one_number = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **inherited,
        **dict.fromkeys(one_number, str(threads)),
        # Threads that wait for each other by spinning take the time of those they wait for, where cores are shared:
        # MI-GAN on two busy cores took 2.8 CPU seconds instead of 0.45.
        "OMP_WAIT_POLICY": "passive",
        "MALLOC_ARENA_MAX": "2",  # else a heap for each thread, of which each keeps what it once needed
        # oneDNN keeps what it made for every size of crop, with its working memory. 24 sizes on a small network:
        # 658 MiB with its own number (1024), 366 MiB with this one, in the same time.
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "32",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONFAULTHANDLER": "1",  # where a native library crashed
    }
