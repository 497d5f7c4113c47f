"""The door as routes see it: who comes too often, or to a full house, is told so before its body is read."""

from __future__ import annotations

from fastapi import Depends
from starlette.requests import Request

from magic_eraser.accounts.principal import Principal
from magic_eraser.api.accept import prefers_async
from magic_eraser.api.caller import at_address
from magic_eraser.api.deps import Caller, TheRooms
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import RateLimited
from magic_eraser.service.rates import Rate


async def _count(request: Request, rooms: TheRooms, caller: Caller) -> None:
    request.state.rate = rate = await rooms.rates.count(caller.party)
    _refuse_beyond(rooms, rate)


async def _meter(request: Request, rooms: TheRooms, caller: Caller) -> None:
    await _count(request, rooms, caller)
    if not prefers_async(request):  # a job takes no place in the queue until its turn comes
        rooms.admission.check(caller)


Counted = Depends(_count)
"""For routes that cost: counts the caller's requests (429 `rate_limited`)."""
Metered = Depends(_meter)
"""The same, and looks at the queue (503 `queue_full`, `draining`), for those that want a slot at once."""


async def arrive(rooms: Rooms, host: str) -> Principal:
    """The same for a door that is no route of ours: who calls from an address.

    Raises:
        RateLimited: too often.
    """
    caller = at_address(host)
    rooms.users.saw(caller.party)
    _refuse_beyond(rooms, await rooms.rates.count(caller.party))
    return caller


def rate_headers(rate: Rate) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy`, structured fields (draft-ietf-httpapi-ratelimit-headers-10)."""
    return {
        "RateLimit-Policy": f'"default";q={rate.quota};w={rate.window}',
        "RateLimit": f'"default";r={rate.remaining};t={rate.reset}',
    }


def _refuse_beyond(rooms: Rooms, rate: Rate | None) -> None:
    if rate is None or rate.allowed:
        return
    rooms.metrics.refused(RateLimited.code)
    raise RateLimited(
        f"More than {rate.quota} requests in {rate.window} seconds.",
        f"{rate.window} 秒内的请求超过了 {rate.quota} 次。",
        retry_after=rate.reset,
    )
