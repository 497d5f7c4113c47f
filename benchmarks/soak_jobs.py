"""Batch jobs of a soak: handed in until they are taken, followed to their end, and each item accounted for."""

from __future__ import annotations

import asyncio
import io
import json
import random
import secrets
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2

from load_pictures import BOUNDARY, form_of
from soak_ledger import Accepted
from soak_requests import SMALL, Client

OVER = frozenset({"succeeded", "failed", "cancelled"})
LONGEST_JOB = 120.0
"""Seconds, faults included, after which a job counts as stuck."""


async def whole_job(clients: Sequence[Client], chance: random.Random) -> None:
    """A job by one of `clients`, who ask servers with the same data: any of them may be asked about it."""
    job = await _hand_in(chance.choice(clients), chance)
    if job is None:
        return
    try:
        async with asyncio.timeout(LONGEST_JOB):
            if chance.random() < 0.2:
                await asyncio.sleep(chance.uniform(0, 1))
                await _cancel(job, clients, chance)
            told = await _follow(job, clients, chance)
            await _settle(job, told, clients, chance)
    except TimeoutError:
        chance.choice(clients).ledger.complain(f"job {job.id}: not over after {LONGEST_JOB:.0f} s")


async def _hand_in(client: Client, chance: random.Random) -> Accepted | None:
    count = chance.randint(2, 8)
    pairs = [client.pair(name="jpeg") for _ in range(count)]
    if chance.random() < 0.3:
        pairs[0] = {**pairs[0], "image": b"no picture at all"}
    parts: list[tuple[str, str | bytes]] = [("model", "telea"), ("seed", str(chance.randrange(2**32)))]
    if chance.random() < 0.5:
        parts.append(("archive", _zip(pairs)))
    else:
        parts += [(name, data) for pair in pairs for name, data in pair.items()]
    headers = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Idempotency-Key": secrets.token_hex(16),
    }
    response = await client.until_answered(
        "new job", "/v1/jobs", frozenset({202}), content=form_of(parts), headers=headers
    )
    if response is None:
        return None
    return client.ledger.accept(response.json()["id"], count, client.post.store)


def _zip(pairs: Sequence[dict[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for k, pair in enumerate(pairs):
            archive.writestr(f"images/{k}.jpg", pair["image"])
            archive.writestr(f"masks/{k}.png", pair["mask"])
    return out.getvalue()


async def _cancel(job: Accepted, clients: Sequence[Client], chance: random.Random) -> None:
    job.cancelled = True
    while True:
        response = await chance.choice(clients).ask(
            "cancel", "DELETE", f"/v1/jobs/{job.id}", frozenset({200, 202, 204, 404})
        )
        if response is not None and response.status_code in (200, 202, 204, 404):
            job.removed = response.status_code in (204, 404)  # it was over already, and so is gone
            return
        await asyncio.sleep(0.3)


async def _follow(job: Accepted, clients: Sequence[Client], chance: random.Random) -> list[int]:
    """The indices of the items whose end was told, in order, each once, over however many streams."""
    told: list[int] = []
    last = ""
    while True:
        client = chance.choice(clients)
        patience = chance.choice((1, 3, 1000))
        try:
            async for event_id, kind, content in _events(client, job, last):
                if kind == "nothing more":
                    return told
                if last and int(event_id or last) <= int(last):
                    client.ledger.complain(f"events of {job.id}: {event_id} after {last}")
                last = event_id or last
                if kind == "item":
                    told.append(content["index"])
                if kind == "job" and content["state"] in OVER:
                    return told
                patience -= 1
                if not patience:
                    break
        except (httpx2.TransportError, OSError):
            client.ledger.answers["events cut off"] += 1
        if job.cancelled and await _state(client, job) is None:
            return told
        await asyncio.sleep(0.2)


async def _events(client: Client, job: str, last: str) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Of one stream: id, kind, content."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    url = f"{client.post.url}/v1/jobs/{job.id}/events"
    async with client.line.stream("GET", url, headers=headers) as response:
        if response.status_code != 200:
            said = (await response.aread())[:300].decode(errors="replace")
            patient = "retry-after" in response.headers
            expected = frozenset({204, 404} if job.cancelled else {204})
            client.ledger.answered("events", response.status_code, expected, said=said, patient=patient)
            if response.status_code == 204:
                yield "", "nothing more", {}
            return
        client.ledger.answers["events 200"] += 1
        found: dict[str, str] = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(":")
            if line and name:
                found[name] = value.strip()
            elif "data" in found:
                yield found.get("id", ""), found.get("event", "message"), json.loads(found["data"])
                found = {}


async def _state(client: Client, job: Accepted) -> dict[str, Any] | None:
    """None where it is gone, or cannot be told now."""
    response = await client.ask("job", "GET", f"/v1/jobs/{job.id}", frozenset({200, 404}))
    if response is None or response.status_code != 200:
        return None
    state: dict[str, Any] = response.json()
    return state


async def _settle(
    job: Accepted, told: Sequence[int], clients: Sequence[Client], chance: random.Random
) -> None:
    """Compare what was told with what is there; take the results; then often clear up."""
    client = chance.choice(clients)
    state = None
    while state is None:
        state = await _state(chance.choice(clients), job)
        if job.cancelled and state is None:
            return  # a cancelled one may be removed by the same verb sent twice
    job.seen = judge(job, state, client)
    if not job.cancelled and sorted(told) != list(range(job.items)):
        client.ledger.complain(f"events of {job.id}: told {sorted(told)} of {job.items}")
    await _take(job, chance.choice(clients))
    if chance.random() < 0.5 and not job.cancelled:
        response = await client.ask("remove", "DELETE", f"/v1/jobs/{job.id}", frozenset({200, 202, 204}))
        job.removed = response is None or response.is_success


def judge(job: Accepted, state: dict[str, Any], client: Client) -> dict[str, int | str]:
    """What is wrong with a job that is over goes into the ledger; how many items succeeded."""
    items = state["items"]
    if [item["index"] for item in items] != list(range(job.items)):
        client.ledger.complain(f"job {job.id}: {len(items)} items of {job.items}")
    if state["state"] not in OVER or any(item["success"] is None for item in items):
        client.ledger.complain(f"job {job.id}: {state['state']} with items open")
    succeeded = sum(item["success"] is True for item in items)
    for item in items:
        error = str(item.get("error") or "")
        if not item["success"] and state["state"] != "cancelled" and item["index"] > 0:
            client.ledger.complain(f"job {job.id}, item {item['index']}: {error[:200]}")
    return {"state": state["state"], "succeeded": succeeded}


async def _take(job: Accepted, client: Client) -> None:
    """One result, and all of them."""
    if not job.seen["succeeded"]:
        return
    response = await client.ask("archive", "GET", f"/v1/jobs/{job.id}/archive")
    if response is None or response.status_code != 200:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")]
            for name in names:
                client.whole("archive", archive.read(name), SMALL)
    except zipfile.BadZipFile as error:
        client.ledger.complain(f"archive of {job.id}: {error}")
        return
    if len(names) != job.seen["succeeded"]:
        client.ledger.complain(f"archive of {job.id}: {len(names)} pictures of {job.seen['succeeded']}")
