"""When memory runs out: smaller, coarser, on the processor, and an honest word when nothing helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magic_eraser.errors import Cancelled, OutOfMemory
from magic_eraser.hosting.ladder import LEAST_SIDE, Ladder
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.out_of_memory import is_out_of_memory
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch
from slow_model import SlowInpainter

OPTIONS = InpaintOptions()


class Hungry:
    """Takes one byte a pixel, half with bfloat16, of `room[device]` bytes; paints the hole grey."""

    def __init__(self, memory: Memory, setup: Setup) -> None:
        self.card = memory.card
        self.memory = memory
        self.setup = setup
        self.open = True

    def inpaint(self, image, hole, options, watch):
        return self.inpaint_batch([image], [hole], options, watch)[0]

    def inpaint_batch(self, images, holes, options, watch):
        self.memory.tried.append(sum(hole.size for hole in holes))
        self.memory.check(self.tried_bytes(holes), self.setup)
        return [
            np.where(hole[..., None], np.uint8(128), image) for image, hole in zip(images, holes, strict=True)
        ]

    def tried_bytes(self, holes):
        each = 0.5 if self.setup.precision is Precision.BFLOAT16 else 1.0
        return each * sum(hole.size for hole in holes)

    def close(self):
        self.memory.closed += 1


class Memory:
    """Of a fake machine; counts what is loaded and tried in it."""

    def __init__(self, load_needs=0, batch=1, error=MemoryError, **room) -> None:
        self.room = room
        self.load_needs = load_needs
        self.error = error
        self.card = replace(SlowInpainter.card, batch=batch)
        self.loads: list[tuple[str, Precision]] = []
        self.tried: list[int] = []
        self.closed = 0

    def check(self, needed, setup) -> None:
        if needed > self.room[setup.device]:
            raise self.error("out of memory")

    def load(self, setup: Setup) -> Hungry:
        self.loads.append((setup.device, setup.precision))
        self.check(self.load_needs, setup)
        return Hungry(self, setup)


def crop(side, seed=0):
    image = np.full((side, side, 3), 90, np.uint8)
    hole = np.zeros((side, side), bool)
    hole[side // 4 : side // 2, side // 4 : side // 2] = True
    return image, hole


def fill(ladder, *sides, watch=None):
    images, holes = zip(*(crop(side) for side in sides), strict=True)
    filled = ladder.inpaint_batch(images, holes, OPTIONS, watch or Watch())
    for answer, image, hole in zip(filled, images, holes, strict=True):
        assert answer.shape == image.shape
        assert answer.dtype == np.uint8
        assert answer[hole].mean() > 100  # grey, and met by the rim
    return filled


CUDA = Setup(device="cuda", precision=Precision.FLOAT32)


def test_where_there_is_enough_it_changes_nothing():
    memory = Memory(cuda=1 << 20)
    ladder = Ladder(memory.load, CUDA)
    fill(ladder, 600)
    assert memory.tried == [600 * 600]
    assert memory.loads == [("cuda", Precision.FLOAT32)]


def test_a_batch_is_split_before_a_crop_is_made_smaller():
    memory = Memory(cuda=300 * 300 * 2, batch=4)
    ladder = Ladder(memory.load, CUDA)
    fill(ladder, 300, 300, 300, 300)
    assert [tried // (300 * 300) for tried in memory.tried] == [4, 2, 2]


def test_a_crop_is_worked_on_at_half_its_side_and_that_is_remembered():
    memory = Memory(cuda=400 * 400)
    ladder = Ladder(memory.load, CUDA)
    fill(ladder, 1200)
    assert memory.tried == [1200**2, 600**2, 300**2]
    memory.tried.clear()
    fill(ladder, 1200)
    fill(ladder, 700)
    fill(ladder, 350)
    assert memory.tried == [300**2, 350**2, 350**2]
    assert memory.loads == [("cuda", Precision.FLOAT32)]


def test_then_comes_coarser_arithmetic_at_full_size_again():
    memory = Memory(cuda=600 * 600 // 2)
    ladder = Ladder(memory.load, CUDA)
    memory.room["cuda"] = 200 * 200  # below the least crop of float32, not of bfloat16
    fill(ladder, 2 * LEAST_SIDE)
    assert memory.loads == [("cuda", Precision.FLOAT32), ("cuda", Precision.BFLOAT16)]
    assert memory.tried == [512**2, 256**2, 512**2, 256**2]
    assert memory.closed == 1


def test_then_the_processor():
    memory = Memory(cuda=1000, cpu=1 << 20)
    ladder = Ladder(memory.load, CUDA)
    fill(ladder, 400)
    assert memory.loads == [
        ("cuda", Precision.FLOAT32), ("cuda", Precision.BFLOAT16), ("cpu", Precision.BFLOAT16),
    ]  # fmt: skip
    memory.tried.clear()
    fill(ladder, 400)
    assert len(memory.loads) == 3
    assert memory.tried == [400**2]


def test_in_the_end_it_says_so_and_still_serves_smaller_ones():
    memory = Memory(cpu=200 * 200)
    ladder = Ladder(memory.load, Setup(device="cpu", precision=Precision.BFLOAT16))
    for _ in range(2):
        with pytest.raises(OutOfMemory):
            fill(ladder, 400)
    assert memory.loads == [("cpu", Precision.BFLOAT16)]
    fill(ladder, 280)


def test_loading_steps_down_too():
    memory = Memory(load_needs=500, cuda=100, cpu=1000)
    ladder = Ladder(memory.load, CUDA)
    fill(ladder, 20)
    assert memory.loads[-1] == ("cpu", Precision.BFLOAT16)
    memory = Memory(load_needs=500, cuda=100, cpu=100)
    with pytest.raises(OutOfMemory):
        Ladder(memory.load, CUDA)


def test_other_errors_pass():
    memory = Memory(error=KeyError, cuda=10)
    with pytest.raises(KeyError):
        fill(Ladder(memory.load, CUDA), 20)


def test_a_cancelled_caller_does_not_climb():
    memory = Memory(cuda=10)
    watch = Watch()
    watch.cancel()
    ladder = Ladder(memory.load, CUDA)
    with pytest.raises(Cancelled):
        fill(ladder, 600, watch=watch)
    assert memory.tried == []


class OutOfMemoryError(RuntimeError):
    """Stands for `torch.OutOfMemoryError`, which has this name."""


def test_memory_is_known_by_what_the_libraries_say():
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 50)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(torch.OutOfMemoryError("of a GPU"))
    assert is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("ran out of memory of names"))


def test_memory_of_onnxruntime_is_known():
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    assert is_out_of_memory(RuntimeException("Failed to allocate memory for requested buffer of size 4096"))
    assert not is_out_of_memory(RuntimeException("Got invalid dimensions for input"))
