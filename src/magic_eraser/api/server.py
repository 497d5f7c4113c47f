"""The process around the app: a port, and signals that end it without losing work."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import socket
import threading
from logging import getLogger
from types import FrameType

import uvicorn
from fastapi import FastAPI

from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.api import plan_reload
from magic_eraser.api.app import create_app
from magic_eraser.api.connections import with_head_limit
from magic_eraser.api.leaving import leave
from magic_eraser.api.rooms import Rooms
from magic_eraser.db.upgrade import prepare
from magic_eraser.service.storage import database_of
from magic_eraser.settings import Settings
from magic_eraser.telemetry import logging

log = logging.get_logger(__name__)

STOPPED_SECONDS = 2.0
"""In which requests that are cancelled answer, before what they work with is closed."""


CLOSING_SECONDS = 15.0
"""That everything may take to close once the house is empty, or has to be left as it is."""


class DrainingServer(uvicorn.Server):
    """The first SIGTERM or SIGINT empties the house (see `leaving`) and exits 0; the second leaves at once. SIGHUP
    reads the plans again.

    Args:
        rooms: what is emptied.
        closing_seconds: after which the process ends, whatever does not close: a disk or a library that answers nothing
            must not keep it. Nothing that was accepted is in memory only.
    """

    def __init__(
        self, config: uvicorn.Config, rooms: Rooms, closing_seconds: float = CLOSING_SECONDS
    ) -> None:
        super().__init__(config)
        self._rooms = rooms
        self._closing_seconds = closing_seconds
        self._draining: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._reload_plans)
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            log.info("listening", url=f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if not self.force_exit:
            return
        # uvicorn would leave both to the end of the loop, and tell that as a traceback
        requests = list(self.server_state.tasks)
        for request in requests:
            request.cancel()
        if requests:
            await asyncio.wait(requests, timeout=STOPPED_SECONDS)
        await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or self._rooms.leaving:
            self.should_exit = self.force_exit = True
            self._end_in_time()
            return
        self._rooms.leaving = True
        # a context of its own: the signal may have come in the middle of somebody's request
        self._loop.call_soon_threadsafe(self._begin, context=contextvars.Context())

    def _reload_plans(self) -> None:
        self._reloading = asyncio.ensure_future(plan_reload.reload(self._rooms))

    def _begin(self) -> None:
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        if not await leave(self._rooms):
            self.force_exit = True
        self.should_exit = True
        self._end_in_time()

    def _end_in_time(self) -> None:
        end = threading.Timer(self._closing_seconds, _end)
        end.daemon = True
        end.start()


def _end() -> None:
    log.error("closing_limit_passed")
    os._exit(0)


def run(settings: Settings, app: FastAPI | None = None, *, closing_seconds: float = CLOSING_SECONDS) -> None:
    """Serve until a signal; returns for exit status 0.

    Args:
        settings: where to listen, what to log, how long to drain.
        app: made by `create_app(settings)` where None.
        closing_seconds: see `DrainingServer`.

    Raises:
        OSError: the address cannot be listened on.
        SettingsError: see `db.upgrade.prepare`.
        StorageUnavailable: the database does not answer.
    """
    logging.configure(settings.log.level, settings.log.format, settings.log.file)
    for announces in ("uvicorn.error", "alembic"):  # each of its steps
        getLogger(announces).setLevel("WARNING")
    getLogger("aiosqlite").setLevel("INFO")  # at debug it writes the values of statements down
    getLogger("python_multipart").setLevel("ERROR")  # it warns of every form that a client broke off
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # here, where what is wrong with it is one line and not the end of a lifespan
    asyncio.run(_prepare(settings))
    app = app or create_app(settings)
    server = settings.server
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=",".join(server.trusted_proxies) or None,
        server_header=False,
        timeout_graceful_shutdown=5,
        lifespan="on",
        http=with_head_limit(settings.limits.body_idle_seconds),
    )
    listener = _listen(server.host, server.port)
    try:
        DrainingServer(config, app.state.rooms, closing_seconds).run(sockets=[listener])
    finally:
        listener.close()


async def _prepare(settings: Settings) -> None:
    database = database_of(settings)
    try:
        done = await prepare(database, upgrade_on_start=settings.database.upgrade_on_start, apart=True)
        if done.before != done.after:
            log.info("database_upgraded", before=done.before, after=done.after)
        await plan_reload.check(plan_file.read(settings.plans_file), database, settings.plans_file)
    finally:
        await database.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port or stop what is there."
        ) from None
    return listener
