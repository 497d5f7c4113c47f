"""LaMa on a GPU: milliseconds a picture, the share of the card's bfloat16 peak, and memory. Writes JSON.

python benchmarks/gpu_lama.py [--device cuda] [--output results/gpu_lama.json]

Runs unattended; weights are seeded. Without a GPU it says so and ends with code 2.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from checkpoints import lama
from common import RESULTS
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.lama import LAMA_CARD, load
from magic_eraser.models.lama.network import CELL, Network, Window
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch

WARM, RUNS = 3, 10
PEAK_RUNS, PEAK_SIDE = 20, 8192
"""Products of square matrices by which the card's peak is measured: a maker's figure is for a clock it may not hold."""


def milliseconds(work: Any, warm: int = WARM, runs: int = RUNS) -> float:
    """Median wall time, the card's queue run empty before and after."""
    import torch

    taken = []
    for run in range(warm + runs):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if run >= warm:
            taken.append(1000 * (time.perf_counter() - start))
    return round(float(np.median(taken)), 3)


def peak(device: Any) -> float:
    """Floating-point operations a second of one large dense product in bfloat16."""
    import torch

    a, b = (torch.randn(PEAK_SIDE, PEAK_SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * PEAK_SIDE**3 / (milliseconds(lambda: a @ b, runs=PEAK_RUNS) / 1000)


def operations(network: Network, images: Any, masks: Any, window: Window) -> int:
    """Counted floating-point operations of one pass: of convolutions and matrices; transforms are not counted."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run(network, images, masks, window)
    return int(counter.get_total_flops())


def run(network: Network, images: Any, masks: Any, window: Window) -> None:
    features = network.features(images, masks, lambda _whole: None)
    network.colours(features, window, lambda _whole: None)


def measure(
    model: Any, network: Network, side: int, batch: int, device: Any, fastest: float
) -> dict[str, Any]:
    """One size and batch: of the network alone, decoding all, and of the whole call with a hole of a third."""
    import torch

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(batch)]
    hole = np.zeros((side, side), bool)
    hole[side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] = True
    images = torch.from_numpy(np.stack(pictures)).to(device).float() / 255
    masks = torch.from_numpy(np.stack([hole] * batch)).to(device).float()[..., None]
    window = Window(0, side // CELL, 0, side // CELL)
    with torch.inference_mode():
        count = operations(network, images, masks, window)
        torch.cuda.reset_peak_memory_stats()
        alone = milliseconds(lambda: run(network, images, masks, window))
        memory = torch.cuda.max_memory_allocated()
    call = milliseconds(lambda: model.inpaint_batch(pictures, [hole] * batch, InpaintOptions(), Watch()))
    return {
        "side": side,
        "batch": batch,
        "network_ms_per_image": round(alone / batch, 3),
        "call_ms_per_image": round(call / batch, 3),
        "counted_gflop_per_image": round(count / batch / 1e9, 1),
        "share_of_measured_peak": round(count / (alone / 1000) / fastest, 3),
        "memory_peak_mib": round(memory / 2**20),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu_lama.json")
    asked = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("There is no GPU here that torch can use, so there is nothing to measure.", file=sys.stderr)
        return 2
    device = torch.device(asked.device)
    torch.cuda.set_device(device)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = lama.save_state_dict(lama.make(), Path(folder) / LAMA_CARD.weights[0].name)
        setup = Setup(device=asked.device, precision=Precision.BFLOAT16, weights=(checkpoint,))
        model = load(setup)
    network = model.network
    fastest = peak(device)
    figures = {
        "card": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "precision": "bfloat16",
        "measured_peak_tflops": round(fastest / 1e12, 1),
        "rows": [
            measure(model, network, side, batch, device, fastest) for side in (512, 1024) for batch in (1, 8)
        ],
    }
    text = json.dumps(figures, indent=2)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
