"""Jobs without pictures: a store, claims and a runner on a real database, before a service that only takes its time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.billing.quota import NullQuota, Reservation
from magic_eraser.db.blobs import Blobs, DatabaseBlobs, FileBlobs
from magic_eraser.db.database import Database
from magic_eraser.errors import QuotaExhausted, StorageUnavailable
from magic_eraser.imaging.codec import Encoded
from magic_eraser.jobs.claims import Claims
from magic_eraser.jobs.job import Item, Job, NewItem, NewJob
from magic_eraser.jobs.options import to_json
from magic_eraser.jobs.runner import JobRunner
from magic_eraser.jobs.store import JobStore, new_id
from magic_eraser.jobs.tables import job_items, jobs
from magic_eraser.service.request import EraseOptions, EraseResult, OutputOptions
from magic_eraser.usage.log import DatabaseUsage
from magic_eraser.usage.tables import usage_events

OPTIONS = to_json(EraseOptions(model="telea"), OutputOptions())
PLANS = Plans(plan_file.read(None))
LEASE, ATTEMPTS, TTL = 60.0, 3, 1000.0

holds = sa.Table(
    "holds",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant_id", sa.String(100)),
    sa.Column("units", sa.Integer),
    sa.Column("state", sa.String(10)),
)


class TableQuota:
    """A quota whose holds are rows, written in the caller's transaction; `limit` units a tenant."""

    def __init__(self, limit: int = 10**6) -> None:
        self.limit = limit
        self.renewed: set[int] = set()

    async def reserve(self, principal, units, within=None) -> Reservation:
        kept = sa.insert(holds).values(tenant_id=principal.tenant_id, units=units, state="held")
        number = (await within.execute(kept.returning(holds.c.id))).scalar_one()
        used = sa.select(sa.func.sum(holds.c.units)).where(
            holds.c.tenant_id == principal.tenant_id, holds.c.state != "released"
        )
        if await within.scalar(used) > self.limit:
            raise QuotaExhausted  # what it wrote is its caller's to roll back
        return Reservation(str(number), units)

    async def settle(self, reservation, units, within=None) -> bool:
        return await self._move(reservation, {"state": "settled", "units": units}, within) and units > 0

    async def release(self, reservation, within=None) -> None:
        if within is not None:
            await self._move(reservation, {"state": "released"}, within)

    async def renew(self, ids, within) -> None:
        self.renewed = {int(each) for each in ids}

    async def _move(self, reservation, values, within) -> bool:
        held = holds.update().where(holds.c.id == int(reservation.id), holds.c.state == "held")
        return (await within.execute(held.values(values))).rowcount == 1


class Forgetful(Database):
    """Commits, and then the connection is lost before it can say so: the next `lost` transactions."""

    lost = 0

    @contextlib.asynccontextmanager
    async def write(self):
        async with super().write() as connection:
            yield connection
        if self.lost:
            self.lost -= 1
            raise StorageUnavailable


class Clerk:
    """Stands where the service stands: takes `seconds` for each, or raises what `raises` holds for the attempt."""

    def __init__(self, seconds: float = 0.0, raises=()) -> None:
        self.seconds = seconds
        self.raises = list(raises)
        self.seen: list = []
        self.running = self.most = self.cancelled = 0
        self.go = asyncio.Event()
        self.go.set()

    async def erase(self, principal, request, watch=None, *, prepaid=None) -> EraseResult:
        self.seen.append((principal, request, watch, prepaid))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds)
            await self.go.wait()
            if self.raises:
                raise self.raises.pop(0)
            return result()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


async def eventually(true, seconds: float = 10) -> None:
    """Returns once it is."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what is asked knows of no event)
            await asyncio.sleep(0.01)


def result(data: bytes = b"erased", **values) -> EraseResult:
    whole = EraseResult(
        photo=None,
        encoded=Encoded(data, "png", "image/png", ()),
        model="telea",
        cache="miss",
        width=4,
        height=3,
        seconds={"inpaint": 0.25},
        notices=(),
    )
    return replace(whole, **values)


@dataclass
class House:
    """One server's own: several of them may be on one database."""

    database: Database
    blobs: Blobs
    store: JobStore
    claims: Claims
    over: list[str]
    runners: list[JobRunner] = field(default_factory=list)

    async def job(self, items: int = 3, principal=LOCAL_OWNER, options=OPTIONS) -> Job:
        """All of its items are the same two blobs."""
        job_id = new_id()
        image, mask = [await self.blobs.put(job_id, data) for data in (b"image", b"mask")]
        pairs = tuple(NewItem(f"{number}.png", image, mask) for number in range(items))
        return await self.store.create(principal, NewJob(job_id, pairs, options))

    def runner(self, service, *, concurrency: int = 2, **options) -> JobRunner:
        """Started; stopped with the house."""
        values = {"item_seconds": 30, "poll_seconds": 0.02, **options}
        runner = JobRunner(self.claims, service, self.blobs, concurrency=concurrency, **values)
        self.runners.append(runner)
        runner.start()
        return runner

    async def until_over(self, job: Job, seconds: float = 20) -> Job:
        return await self.until(job, lambda now: now.over, seconds)

    async def until_row(self, job: Job, wanted, index: int = 0):
        async with asyncio.timeout(10):
            row = await self.row(job, index)
            while not wanted(row):
                await asyncio.sleep(0.01)
                row = await self.row(job, index)
        return row

    async def until(self, job: Job, wanted, seconds: float = 20, look: float = 0.01) -> Job:
        """Where it stands once that is as `wanted`; looked at every `look` seconds."""
        async with asyncio.timeout(seconds):
            found = await self.store.get(job.tenant_id, job.id)
            while not wanted(found):
                await asyncio.sleep(look)
                found = await self.store.get(job.tenant_id, job.id)
        return found

    async def items(self, job: Job) -> list[Item]:
        return await self.store.items(job.tenant_id, job.id)

    async def events(self) -> list:
        """What was told for the bill."""
        return await self.rows(sa.select(usage_events).order_by(usage_events.c.source_id))

    async def holds(self) -> dict[str, int]:
        """How many are in each state."""
        counted = sa.select(holds.c.state, sa.func.count()).group_by(holds.c.state)
        return dict(map(tuple, await self.rows(counted)))

    async def rows(self, query) -> list:
        async with self.database.read() as connection:
            return list((await connection.execute(query)).all())

    async def row(self, job: Job, index: int = 0):
        found = await self.rows(
            sa.select(job_items).where(job_items.c.job_id == job.id, job_items.c.index == index)
        )
        return found[0]

    async def change(self, job: Job, index: int | None = None, **values) -> None:
        """What time would have done to the items of a job."""
        items = job_items.update().where(job_items.c.job_id == job.id)
        if index is not None:
            items = items.where(job_items.c.index == index)
        async with self.database.write() as connection:
            await connection.execute(items.values(values))

    async def age(self, job: Job, **values) -> None:
        """What time would have done to a job."""
        async with self.database.write() as connection:
            await connection.execute(jobs.update().where(jobs.c.id == job.id).values(values))


@contextlib.asynccontextmanager
async def house(
    url,
    folder,
    *,
    quota=None,
    units=lambda _options, _principal: 2,
    lease=LEASE,
    attempts=ATTEMPTS,
    kind=Database,
    claims_kind=Claims,
    **options,
):
    """`async with house(database_url, tmp_path) as house`."""
    database = kind(url, **options)
    over: list[str] = []

    async def on_over(_connection, job_id) -> None:
        over.append(job_id)

    if isinstance(quota, TableQuota):
        async with database.write() as connection:
            await connection.run_sync(holds.metadata.create_all)
    blobs = FileBlobs(folder / "blobs") if database.is_sqlite else DatabaseBlobs(database)
    ends = {"ttl_seconds": TTL, "on_over": on_over}
    built = House(
        database,
        blobs,
        JobStore(database, blobs, **ends),
        claims_kind(
            database,
            quota=quota or NullQuota(),
            units=units,
            weight=lambda _model: 10**6,
            usage=DatabaseUsage(PLANS),
            lease_seconds=lease,
            attempts=attempts,
            **ends,
        ),
        over,
    )
    try:
        yield built
    finally:
        for runner in built.runners:
            await runner.stop()
        await database.close()
