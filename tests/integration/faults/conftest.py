"""A picture that costs next to nothing, so that what is measured is the house and not the fill."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def pair(encode) -> tuple[bytes, bytes]:
    """Photo and mask, PNG, 80 x 60."""
    photo = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    mask[20:30, 20:30] = 255
    return encode(photo), encode(mask)
