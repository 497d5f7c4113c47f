"""Torchvision, where its compiled part does not load."""

from __future__ import annotations

from typing import Any

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_DEFINED: list[Any] = []  # torch forgets an operator when the library that defines it goes


def import_torchvision() -> None:
    """Import torchvision, for packages that want some names of it and none of its operators, such as spandrel.

    The public wheel is linked against CUDA. Beside a CPU build of torch its operators do not exist, and its import
    stops where it describes two of them to torch. It is enough that torch knows their names; to call one fails
    still. Call this before whatever imports torchvision.

    Raises:
        ImportError, RuntimeError: it is not there, or cannot be imported for another reason.
    """
    import torch

    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # left so by torch
        library.define(f"nms{SCHEMA}")
        library.define(f"qnms{SCHEMA}")
        _DEFINED.append(library)
        import torchvision  # noqa: F401
