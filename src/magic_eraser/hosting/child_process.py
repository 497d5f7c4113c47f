"""The program of a model's process: it loads one model and fills what its parent sends, one job at a time.

Run as `python -m magic_eraser.hosting.child_process N`, where N is the descriptor of its end of a socket pair
(`wire` has the words). It ends when its parent says so, or when the parent is gone.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

import numpy as np
import structlog
from numpy.typing import NDArray

from magic_eraser.errors import UnusableOutput
from magic_eraser.hosting import cores, memory, shared, wire
from magic_eraser.hosting.ladder import Ladder
from magic_eraser.models.inpainter import Inpainter, inpaint_all
from magic_eraser.models.watch import Watch

PROGRESS_SECONDS = 0.05
"""Least time between two words about progress."""
IDLE_SECONDS = 1.0
"""Without a job, after which freed memory is given back: a small network's layers left 106 MiB of 366 in the heap."""


class JobWatch(Watch):
    """The parent's watch as the child sees it: cancel and hurry come by messages."""

    def __init__(self, seconds: float | None, process: ModelProcess, job: int) -> None:
        super().__init__(seconds, self._tell)
        self.hurried = threading.Event()
        self._process = process
        self._job = job
        self._told = 0.0

    def hurry(self) -> bool:
        return self.hurried.is_set()

    def _tell(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._process.say("progress", job=self._job, fraction=fraction)


Job = tuple[wire.Message, int, JobWatch]
"""The parent's words, the descriptor of the arrays, and when to stop."""


class ModelProcess:
    """One model and the jobs for it.

    Args:
        parent: this process's end of the socket pair.
    """

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._current: JobWatch | None = None
        self._number = -1

    def run(self) -> None:
        """Until the parent says "close"."""
        start = self._parent.recv(wire.PACKET)
        threading.Thread(target=self._listen, name="parent", daemon=True).start()
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,  # warnings and above, as the standard library has it at first
                structlog.stdlib.add_log_level,
                structlog.processors.format_exc_info,
                self._log,
            ]
        )
        try:
            load, setup = pickle.loads(start)  # noqa: S301 (from our own parent, over an unnamed socket)
            cores.limit_opencv(setup.threads)
            model = Ladder(load, setup)
        except BaseException as error:  # noqa: BLE001 (told to the parent)
            self._fail(error, job=-1)
            return
        gc.collect()
        memory.give_back()  # reading LaMa's weights left 255..340 MiB in the heap
        self.say("ready")
        while (job := self._next_job()) is not None:
            self._work(model, *job)
        model.close()

    def _next_job(self) -> Job | None:
        """None at the end. Where none comes soon, memory goes back in the meantime."""
        with suppress(Empty):
            return self._jobs.get(timeout=IDLE_SECONDS)
        memory.give_back()
        return self._jobs.get()

    def say(self, word: str, **facts: Any) -> None:
        """To the parent; where it is gone, so is this process."""
        try:
            wire.send(self._parent, {"say": word, **facts})
        except OSError:
            os._exit(1)

    def _log(self, _logger: object, _method: str, line: structlog.typing.EventDict) -> NoReturn:
        """The last of the processors: the parent writes it down, in the server's own log."""
        self.say("log", **wire.log_to_wire(line))
        raise structlog.DropEvent

    def _listen(self) -> None:
        """In a thread of its own, so that a word is heard in the middle of a forward."""
        while True:
            message, descriptors = wire.receive(self._parent)
            if message is None:
                os._exit(1)
            match message["say"]:
                case "job":
                    self._number = message["job"]
                    self._current = JobWatch(message["seconds"], self, self._number)
                    self._jobs.put((message, descriptors[0], self._current))
                case "cancel" if message["job"] == self._number and self._current is not None:
                    self._current.cancel()
                case "hurry" if message["job"] == self._number and self._current is not None:
                    self._current.hurried.set()
                case "close":
                    if self._current is not None:
                        self._current.cancel()
                    self._jobs.put(None)

    def _work(self, model: Inpainter, message: wire.Message, descriptor: int, watch: JobWatch) -> None:
        inputs, outputs = (wire.forms_from_wire(message[name]) for name in ("inputs", "outputs"))
        try:
            arrays = shared.mapped(descriptor, [*inputs, *outputs])
        finally:
            os.close(descriptor)
        count = len(outputs)
        options = wire.options_from_wire(message["options"])
        try:
            filled = inpaint_all(model, arrays[:count], arrays[count : 2 * count], options, watch)
            _write(filled, arrays[2 * count :])
        except Exception as error:  # noqa: BLE001 (told to the parent)
            self._fail(error, message["job"])
        else:
            self.say("done", job=message["job"], rough=watch.rough)

    def _fail(self, error: BaseException, job: int) -> None:
        trace = "".join(traceback.format_exception(error))[-wire.LONGEST_TEXT :]
        self.say("failed", job=job, trace=trace, **wire.error_to_wire(error))


def _write(filled: list[NDArray[Any]], outputs: list[NDArray[Any]]) -> None:
    """The answers into the memory that the parent reads."""
    for answer, output in zip(filled, outputs, strict=True):
        if answer.shape != output.shape or answer.dtype != output.dtype:
            raise UnusableOutput(
                f"The model answered {answer.dtype} {answer.shape} for a crop of {output.dtype} {output.shape}.",
                f"模型输出 {answer.dtype} {answer.shape} 与输入 {output.dtype} {output.shape} 不符。",
            )
        np.copyto(output, answer)


def main() -> None:
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # meant for the parent, which lets running work come to its end
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # where memory runs out, the kernel is to take this process and not the server
        Path("/proc/self/oom_score_adj").write_text("500")
    ModelProcess(socket.socket(fileno=int(sys.argv[1]))).run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # not by way of the libraries' own endings, which may take seconds


if __name__ == "__main__":
    main()
