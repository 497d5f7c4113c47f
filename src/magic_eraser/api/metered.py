"""The door as routes see it: who comes too often, or to a full house, is told so before its body is read."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fastapi import Depends
from starlette.requests import Request

from magic_eraser.accounts.plans import Feature
from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api.accept import prefers_async
from magic_eraser.api.caller import identified
from magic_eraser.api.deps import Caller, TheRooms
from magic_eraser.api.rooms import Rooms
from magic_eraser.billing.quota import Reservation
from magic_eraser.errors import RateLimited
from magic_eraser.service.rates import Rate

DAY = 86_400
"""Seconds."""


async def _count(request: Request, rooms: TheRooms, caller: Caller) -> None:
    request.state.rate = rate = await rooms.rates.count(caller.party)
    _refuse_beyond(rooms, rate)


async def _meter(request: Request, rooms: TheRooms, caller: Caller) -> None:
    await _count(request, rooms, caller)
    if not (
        prefers_async(request) and caller.has(Feature.BATCH_PROCESSING)
    ):  # a job takes no place in the queue until its turn comes
        rooms.admission.check(caller)


Counted = Depends(_count)
"""For routes that cost: counts the caller's requests (429 `rate_limited`)."""
Metered = Depends(_meter)
"""The same, and looks at the queue (503 `queue_full`, `draining`), for those that want a slot at once."""


async def arrive(rooms: Rooms, headers: Mapping[str, str], host: str) -> Principal:
    """The same for a door that is no route of ours: who calls, by its headers and its address.

    Raises:
        RateLimited: too often.
        NotAuthenticated, AccountDisabled, InsufficientScope: see `caller.identified`.
    """
    caller = await identified(rooms, headers, host)
    caller.require(Scope.ERASE)
    rooms.users.saw(caller.party)
    _refuse_beyond(rooms, await rooms.rates.count(caller.party))
    return caller


async def admit(rooms: Rooms, headers: Mapping[str, str], host: str) -> None:
    """Lets pass who may call that door, and counts nothing: what is left there before a call takes room.

    Raises:
        NotAuthenticated, AccountDisabled, InsufficientScope, RateLimited: see `caller.identified`.
    """
    (await identified(rooms, headers, host)).require(Scope.ERASE)


def rate_headers(rate: Rate | None, charged: Reservation | None = None) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy`, structured fields (draft-ietf-httpapi-ratelimit-headers-10): requests in a
    minute, and calls in a day where the plan limits them.

    Args:
        charged: what the request was charged by.
    """
    policies, standing = [], []
    if rate is not None:
        policies.append(f'"default";q={rate.quota};w={rate.window}')
        standing.append(f'"default";r={rate.remaining};t={rate.reset}')
    if charged is not None and charged.plan is not None and charged.resets_in is not None:
        # as it was when the call was held: by the database's clock, and never too short
        reset = max(1, math.ceil(charged.resets_in))
        policies.append(f'"daily";q={charged.plan.calls_a_day};w={DAY}')
        standing.append(f'"daily";r={charged.left};t={reset}')
    if not policies:
        return {}
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(standing)}


def _refuse_beyond(rooms: Rooms, rate: Rate | None) -> None:
    if rate is None or rate.allowed:
        return
    rooms.metrics.refused(RateLimited.code)
    raise RateLimited(
        f"More than {rate.quota} requests in {rate.window} seconds.",
        f"{rate.window} 秒内的请求超过了 {rate.quota} 次。",
        retry_after=rate.reset,
    )
