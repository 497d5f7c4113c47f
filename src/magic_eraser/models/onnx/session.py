"""A session of ONNX Runtime: on a device, with few threads, and ended in the middle when nobody waits any more."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from magic_eraser.errors import EraserError, ModelUnavailable, OutOfMemory
from magic_eraser.models.out_of_memory import is_out_of_memory
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
LOOK = 0.05
"""Seconds between two looks at the watch during a run."""
FAULTS = (
    faults.Fail,
    faults.EPFail,
    faults.EngineError,
    faults.InvalidArgument,
    faults.InvalidGraph,
    faults.InvalidProtobuf,
    faults.NoSuchFile,
    faults.NotImplemented,
    faults.RuntimeException,
)
"""What ONNX Runtime raises; they have no common base of their own."""
FATAL_ONLY = 4


class Session:
    """One model, ready to run; safe for several threads.

    Args:
        path: of the `.onnx` file. Tensors that it keeps in other files are read from its own folder only: ONNX
            Runtime refuses names that lead out of it.
        setup: device, threads and memory.
        model: the id, for sentences.

    Raises:
        ModelUnavailable: the file is no ONNX model, or cannot be run here, or the device cannot be used.
    """

    def __init__(self, path: Path, setup: Setup, model: str) -> None:
        ort.disable_telemetry_events()
        options = ort.SessionOptions()
        options.intra_op_num_threads = setup.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = FATAL_ONLY
        options.enable_cpu_mem_arena = not setup.low_memory
        # Threads that wait by spinning take the cores of other requests.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._path, self._model = path, model
        self._shrink = not setup.low_memory
        try:
            self._session = ort.InferenceSession(path, options, providers=_providers(setup.device))
        except FAULTS as error:
            self._refuse_file(error)
        if setup.device.startswith("cuda") and self._session.get_providers()[0] != CUDA:
            _refuse_device(setup.device)
        self.inputs = self._session.get_inputs()

    def run(self, feeds: Mapping[str, NDArray[Any]], watch: Watch) -> list[NDArray[Any]]:
        """All outputs that are plain arrays.

        Raises:
            Cancelled, DeadlineExceeded: as `watch` says, also in the middle of the run.
            OutOfMemory: there was not enough.
            ModelUnavailable: the graph failed.
        """
        watch.check()
        options = ort.RunOptions()
        options.log_severity_level = FATAL_ONLY
        if self._shrink:  # what the run took goes back when it is done
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        done = threading.Event()
        guard = threading.Thread(target=_terminate_when_told, args=(options, watch, done), daemon=True)
        guard.start()
        try:
            outputs = self._session.run(None, dict(feeds), options)
        except FAULTS as error:
            watch.check()  # raises where it was the watch that ended the run
            self._refuse_run(error)
        finally:
            done.set()
            guard.join()
        watch.check()
        return [output for output in outputs if isinstance(output, np.ndarray)]

    def _refuse_file(self, error: Exception) -> NoReturn:
        self._refuse_for_memory(error)
        reason = _reason(error)
        if "xternal data" in reason:
            raise ModelUnavailable(
                f"The ONNX model {self._path} keeps tensors in another file, which is not in its folder: {reason}. "
                "Put that file beside it.",
                f"ONNX 模型 {self._path} 的部分张量在另一个文件中，但不在同一目录下：{reason}。请放在一起。",
            ) from None
        raise ModelUnavailable(
            f"The file {self._path} of model {self._model} cannot be loaded by ONNX Runtime: {reason}. "
            f"Is it whole? magic-eraser models verify {self._model}.",
            f"ONNX Runtime 无法加载模型 {self._model} 的文件 {self._path}：{reason}。"
            f"可用 magic-eraser models verify {self._model} 检查文件是否完整。",
        ) from None

    def _refuse_run(self, error: Exception) -> NoReturn:
        self._refuse_for_memory(error)
        reason = _reason(error)
        raise ModelUnavailable(
            f"Model {self._model} ({self._path}) failed: {reason}.",
            f"模型 {self._model}（{self._path}）运行失败：{reason}。",
        ) from None

    def _refuse_for_memory(self, error: Exception) -> None:
        if is_out_of_memory(error):
            raise OutOfMemory(
                f"There was not enough memory to run model {self._model}.",
                f"内存不足，无法运行模型 {self._model}。",
            ) from None


def _terminate_when_told(options: ort.RunOptions, watch: Watch, done: threading.Event) -> None:
    while not done.wait(LOOK):
        try:
            watch.check()
        except EraserError:
            options.terminate = True
            return


def _providers(device: str) -> list[Any]:
    there = CUDA in ort.get_available_providers()
    if device == "cpu" or (device == "auto" and not there):
        return [CPU]
    if not there:
        _refuse_device(device)
    _, _, number = device.partition(":")
    return [(CUDA, {"device_id": number or "0"}), CPU]


def _refuse_device(device: str) -> NoReturn:
    raise ModelUnavailable(
        f'The device "{device}" cannot be used by ONNX Runtime: install onnxruntime-gpu in place of onnxruntime, or '
        "set ERASER_MODELS__DEVICE=auto.",
        f"ONNX Runtime 无法使用设备“{device}”：请安装 onnxruntime-gpu，或设置 ERASER_MODELS__DEVICE=auto。",
    )


def _reason(error: Exception) -> str:
    """What ONNX Runtime says, after its code and kind, on one line of at most 200 characters."""
    return " ".join(str(error).split(" : ", 3)[-1].split())[:200].rstrip(".")
