"""The `torchscript` family: a person's own program of torch, called as IOPaint calls one.

`model(image, mask)` with a float image (1, 3, H, W) in 0..1 and a mask (1, 1, H, W), 1 in the hole; the answer is
(1, 3, H, W) in 0..1. Sides are multiples of 8. Such a file is a program: it runs because the operator added it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from magic_eraser.errors import ModelUnavailable, OutOfMemory
from magic_eraser.models.card import UNSAID, ModelCard, Quality, Speed
from magic_eraser.models.framing import common_size, padded, to_pixels
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.out_of_memory import is_out_of_memory
from magic_eraser.models.reason import reason
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    import torch

MULTIPLE = 8
SIDE = 512
"""Of a model that was traced at one size, and the longest side of what others are given."""
SMALL = 64
"""Of the first picture that is tried: quickly done where any size will do."""

PATTERN = ModelCard(
    id="torchscript",
    title="A program for torch",
    licence=UNSAID,
    source="",
    speed=Speed.MODERATE,
    quality=Quality.GOOD,
    context=0.75,
    working_size=SIDE,
    multiple_of=MULTIPLE,
    detail=True,
    needs=("torch",),
    extra="torch",
    memory_mb=1000,  # that of LaMa, the largest that people have
    isolated=True,
)
"""Of a person's own file: what it can do is not known."""


class TorchscriptInpainter:
    """A program and how it wants to be called; see `load`.

    Args:
        card: of the model.
        program: on its device, in float32.
        device: where it runs.
        path: for sentences.
    """

    def __init__(
        self, card: ModelCard, program: torch.jit.ScriptModule, device: torch.device, path: Path
    ) -> None:
        self.card = card
        self._program = program
        self._device = device
        self._path = path
        self._mask_type, self._any_size = self._find_call()

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """See `Inpainter`; a forward cannot be ended in the middle but by ending the process."""
        from magic_eraser.models.torch_program import FAULTS

        watch.check()
        size = common_size([hole], MULTIPLE) if self._any_size else (SIDE, SIDE)
        try:
            answer = self._run(padded(image, size), padded(hole, size), self._mask_type)
        except FAULTS as error:
            raise self._failure("failed", "运行失败", error) from None
        watch.check()
        return to_pixels(answer, like=image)

    def _find_call(self) -> tuple[torch.dtype, bool]:
        """The type of the mask that it takes, and whether it takes any size: the first that works."""
        import torch

        from magic_eraser.models.torch_program import FAULTS

        first: Exception | None = None
        for side in (SMALL, SIDE):
            hole = np.zeros((side, side), bool)
            hole[side // 4 : side // 2, side // 4 : side // 2] = True
            for mask_type in (torch.int64, torch.float32):  # an integer is what IOPaint gives
                try:
                    answer = self._run(np.full((side, side, 3), 128, np.uint8), hole, mask_type)
                except FAULTS as error:
                    first = first or error
                    continue
                if answer.shape == (side, side, 3):
                    return mask_type, side == SMALL
                first = first or RuntimeError(f"it answers {answer.shape} for a picture of {hole.shape}")
        assert first is not None
        raise self._failure(
            "does not take (image, mask) and give a picture", "不接受 (image, mask) 或输出的不是图片", first
        )

    def _run(self, image: Pixels, hole: Hole, mask_type: torch.dtype) -> np.ndarray:
        """float32 (height, width, 3), or whatever shape there is."""
        import torch

        known = ~hole[..., None]
        colours = torch.from_numpy((image * known).astype(np.float32) / 255).permute(2, 0, 1)[None]
        mask = torch.from_numpy(hole)[None, None]
        with torch.inference_mode():
            answer = self._program(colours.contiguous().to(self._device), mask.to(self._device, mask_type))
        if not isinstance(answer, torch.Tensor):
            raise TypeError(f"it answers a {type(answer).__name__}, not a tensor")
        if answer.ndim == 4 and len(answer) == 1:
            answer = answer[0].permute(1, 2, 0)
        whole: np.ndarray = answer.float().cpu().numpy()
        return whole

    def _failure(self, what: str, what_zh: str, error: Exception) -> ModelUnavailable:
        if is_out_of_memory(error):
            return OutOfMemory(
                f"There was not enough memory to run model {self.card.id}.",
                f"内存不足，无法运行模型 {self.card.id}。",
            )
        return ModelUnavailable(
            f"The TorchScript model {self._path} {what}: {reason(error)}.",
            f"TorchScript 模型 {self._path} {what_zh}：{reason(error)}。",
        )

    def close(self) -> None:
        del self._program


def load(setup: Setup, *, card: ModelCard) -> TorchscriptInpainter:
    """Load the program, and call it once or a few times to see how it wants to be called.

    Args:
        setup: `weights` is one file.
        card: of the model.

    Raises:
        ModelUnavailable: the file is no whole TorchScript, the program takes other things, or the device cannot
            be used.
    """
    from magic_eraser.models.torch_device import find_place
    from magic_eraser.models.torch_program import read_program

    path = setup.weights[0]
    device = find_place(setup).device
    try:
        program = read_program(path, device)
    except (RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelUnavailable(
            f"The file {path} cannot be loaded as TorchScript: {reason(error)}. Save it with torch.jit.save and add it "
            "anew.",
            f"无法把文件 {path} 作为 TorchScript 加载：{reason(error)}。请用 torch.jit.save 保存后重新添加。",
        ) from None
    return TorchscriptInpainter(card, program, device, path)


__all__ = ["PATTERN", "TorchscriptInpainter", "load"]
