"""What an upgrade in the middle of a period costs."""

from __future__ import annotations


def prorated(old_price: int, new_price: int, *, start: float, end: float, at: float) -> int:
    """The difference for what is left of the period, to the millisecond, rounded down in the user's favour.

    Args:
        old_price, new_price: milli-cents a period; the new one is not the lower.
        start, end: of the period, seconds since 1970.
        at: when the new price begins; before `start` it costs the whole difference, after `end` nothing.

    Returns:
        Milli-cents, from 0 to the difference.
    """
    begin, over, now = (round(moment * 1000) for moment in (start, end, at))
    if over <= begin:
        return 0
    left = min(max(over - now, 0), over - begin)
    return max(new_price - old_price, 0) * left // (over - begin)
