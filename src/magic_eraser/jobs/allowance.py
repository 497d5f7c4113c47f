"""How much of the queue and of the disk one party may take, so that the others find room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.principal import Principal
from magic_eraser.errors import RateLimited
from magic_eraser.jobs.endings import OPEN
from magic_eraser.jobs.tables import jobs


class TooManyJobs(RateLimited):
    """Of one party; other requests of it are not concerned."""

    title: ClassVar[str] = "You have too many jobs."
    title_zh: ClassVar[str] = "您的任务过多。"
    hint: ClassVar[str] = "Wait until some are over, or delete old ones."
    hint_zh: ClassVar[str] = "请等待部分任务完成，或删除旧任务。"
    usual_wait: ClassVar[float | None] = 30.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """Of one party: a tenant, or an address of those unknown.

    Attributes:
        open_jobs: at most not yet over.
        kept_bytes: that the pictures sent with its jobs may take together, as long as these are kept.
    """

    open_jobs: int
    kept_bytes: int

    async def check(self, connection: AsyncConnection, principal: Principal, more: int = 0) -> None:
        """Whether there is room for one more job.

        Args:
            more: bytes that it brings.

        Raises:
            TooManyJobs: there is none.
        """
        its_own = sa.and_(jobs.c.tenant_id == principal.tenant_id, jobs.c.address == principal.address)
        is_open = sa.case((jobs.c.state.in_(OPEN), 1), else_=0)
        found = await connection.execute(
            sa.select(
                sa.func.coalesce(sa.func.sum(is_open), 0), sa.func.coalesce(sa.func.sum(jobs.c.bytes), 0)
            ).where(its_own)
        )
        count, kept = (int(number) for number in found.one())
        if count >= self.open_jobs:
            raise TooManyJobs(
                f"You have {count} jobs that are not over yet; more than {self.open_jobs} are not taken.",
                f"您有 {count} 个未完成的任务，上限为 {self.open_jobs} 个。",
            )
        if kept + more > self.kept_bytes:
            mebibytes = self.kept_bytes // 2**20
            raise TooManyJobs(
                f"The pictures of your jobs would take more than {mebibytes} MiB together.",
                f"您的任务中的图片合计将超过 {mebibytes} MiB。",
            )
