"""Amounts as whole milli-cents inside and as decimals outside. Never floats."""

from __future__ import annotations

import re
from decimal import Decimal

from magic_eraser.accounts.plans import MILLICENTS

MOST = 10**15
"""Milli-cents: ten thousand million of the currency; a slip of the hand, not a price."""

_PLAIN = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,20})?", re.ASCII)


def parse(text: str) -> int:
    """Milli-cents of a decimal such as `0.10`.

    Raises:
        ValueError: not a plain decimal, negative, finer than a milli-cent, or too large.
    """
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount such as 0.10")
    amount = Decimal(text) * MILLICENTS
    if amount < 0 or amount > MOST:
        raise ValueError(f"{text!r} is not an amount from 0 to {MOST // MILLICENTS}")
    if amount != amount.to_integral_value():
        raise ValueError(f"{text!r} is finer than a thousandth of a cent")
    return int(amount)


def to_text(millicents: int) -> str:
    """`0.10`, `29.00`, `0.00125`, `-1.50`: two places at least."""
    sign, amount = ("-" if millicents < 0 else ""), Decimal(abs(millicents)) / MILLICENTS
    places = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{sign}{amount:.{places}f}"
