"""Files for every model of the catalogue, under the published names: right architectures, seeded weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from checkpoints import lama, ldm, mat, migan, onnx_models
from checkpoints.onnx_models import LAMA, MIGAN_PIPELINE


def write(folder: Path) -> Path:
    """All of them, some 290 MB, in about 6 s of one core. LaMa is narrower and shorter than published, which its
    checkpoint's shapes tell, and LDM's parts are not the published ones; MI-GAN and MAT know one size."""
    write_quick(folder)
    with _one_thread():
        migan.traced(migan.generator()).save(folder / "migan_traced.pt")
        ldm.save(folder)
        mat.save(folder / "Places_512_FullData_G.pth")
    return folder


def write_quick(folder: Path) -> Path:
    """Only those that are made, loaded and run in no time: LaMa, also for drawings, and the two of ONNX."""
    folder.mkdir(parents=True, exist_ok=True)
    big = folder / "big-lama.pt"
    with _one_thread():
        lama.save_torchscript(lama.make(width=16, blocks=4), big)
    shutil.copyfile(big, folder / "anime-manga-big-lama.pt")
    onnx_models.write(folder / "lama_fp32.onnx", onnx_models.mean_fill(LAMA))
    onnx_models.write(folder / "migan_pipeline_v2.onnx", onnx_models.mean_fill(MIGAN_PIPELINE))
    return folder


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tracing by several threads took 16 s of processor time instead of 6: they wait for each other by spinning."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
