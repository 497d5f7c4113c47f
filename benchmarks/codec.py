"""12 MP pictures through the codec, beside Pillow as IOPaint 1.6 uses it (PNG at level 6, JPEG at quality 100).

python benchmarks/codec.py
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image
from skimage import data

from common import cpu_seconds, write
from magic_eraser.imaging.codec import decode, encode


def photograph() -> np.ndarray:
    """A real photograph enlarged to 4000 x 3000, with grain so that it packs like one: uint8 (3000, 4000, 3)."""
    small = data.coffee()[:, 33:566]
    large = cv2.resize(small, (4000, 3000), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = np.random.default_rng(1).normal(0, 4, large.shape[:2]).astype(np.float32)
    return np.clip(large + grain[..., None], 0, 255).astype(np.uint8)


def saved(image: Image.Image, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def main() -> None:
    image = Image.fromarray(photograph())
    rows = {}
    for name, peer in (("png", {}), ("jpeg", {"quality": 100})):
        content = saved(image, name, **({"quality": 92} if name == "jpeg" else {"compress_level": 6}))
        photo = decode(content)
        ours, theirs = encode(photo).data, saved(image, name, **peer)
        row = {
            "decode_cpu_seconds": cpu_seconds(lambda c=content: decode(c)),
            "decode_cpu_seconds_pillow": cpu_seconds(lambda c=content: np.asarray(Image.open(io.BytesIO(c)))),
            "encode_cpu_seconds": cpu_seconds(lambda p=photo: encode(p)),
            "encode_cpu_seconds_iopaint": cpu_seconds(lambda f=name, o=peer: saved(image, f, **o), runs=3),
            "megabytes": round(len(ours) / 1e6, 2),
            "megabytes_iopaint": round(len(theirs) / 1e6, 2),
        }
        row["encode_ratio"] = round(row["encode_cpu_seconds"] / row["encode_cpu_seconds_iopaint"], 3)
        row["size_ratio"] = round(row["megabytes"] / row["megabytes_iopaint"], 3)
        rows[name] = row
    write("codec", {"picture": "4000 x 3000, 8-bit RGB", **rows})


if __name__ == "__main__":
    main()
