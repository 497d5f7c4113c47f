"""Files for every model of the catalogue, under the published names: right architectures, seeded weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from checkpoints import lama, ldm, mat, migan, onnx_models
from checkpoints.onnx_models import LAMA, MIGAN_PIPELINE


def write(folder: Path) -> Path:
    """All of them (some 700 MB), or what is missing of them.

    LaMa is narrower and shorter than published, which its checkpoint's shapes tell; the others know one size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    big = folder / "big-lama.pt"
    lama.save_torchscript(lama.make(width=16, blocks=4), big)
    shutil.copyfile(big, folder / "anime-manga-big-lama.pt")
    migan.traced(migan.generator()).save(folder / "migan_traced.pt")
    ldm.save(folder)
    mat.save(folder / "Places_512_FullData_G.pth")
    onnx_models.write(folder / "lama_fp32.onnx", onnx_models.mean_fill(LAMA))
    onnx_models.write(folder / "migan_pipeline_v2.onnx", onnx_models.mean_fill(MIGAN_PIPELINE))
    return folder
