"""PostgreSQL and Redis of a test's own: own port, own folder, to be stopped, killed and frozen at will.

    with PrivatePostgres() as server:      # running; `server.url` names its database `postgres`
        server.stop()                      # clients see their connections closed
        server.start()                     # same port, same data

Nothing is installed here: where a program is missing, `NotInstalled` says what to type.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil


class NotInstalled(Exception):
    """A program that the tests need is not on this machine; the message says how to get it."""


class PrivateServer(ABC):
    """One process and its children, on `port` of 127.0.0.1."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="eraser-server-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _answers(self) -> bool: ...

    def _account(self) -> str | None:
        """User to run as; None for ours."""
        return None

    def start(self) -> None:
        """Run it; returns when it answers."""
        assert self._process is None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_run_as(self._account()),
            )
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self._command()[0]} did not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """An orderly end that does not wait for clients; what was written is kept as far as the server keeps it."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """`kill -9` of everything, as a machine that dies."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """It answers nothing any more, and closes nothing either, as behind a network that swallows packets."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """End it and remove what it wrote."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _signal(self, number: int) -> None:
        """To it, then to its children, which PostgreSQL puts into groups of their own."""
        assert self._process is not None
        family = psutil.Process(self._process.pid)
        for process in (family, *family.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _end(self, number: int) -> None:
        assert self._process is not None
        if number == signal.SIGKILL:
            with suppress(psutil.NoSuchProcess):  # it ended by itself
                self._signal(number)
        else:
            self._process.send_signal(number)
        self._process.wait(20)
        self._process = None


class PrivatePostgres(PrivateServer):
    """PostgreSQL without a password for the user `postgres`; loses data where the machine (not it) dies.

    Args:
        settings: of postgresql.conf, such as `max_connections="5"`.
    """

    def __init__(self, **settings: str) -> None:
        program = _postgres_program()
        super().__init__()
        self._program = program
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            **settings,
        }
        if (account := self._account()) is not None:
            shutil.chown(self.folder, account)
        subprocess.run(
            [program.with_name("initdb"), "--no-sync", "-A", "trust", "-U", "postgres", "-D", "data"],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **_run_as(account),
        )

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _account(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None  # it refuses to run as root

    def _command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        return [str(self._program), "-D", "data", *options]

    def _answers(self) -> bool:
        asks = [self._program.with_name("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asks, check=False).returncode == 0


class PrivateRedis(PrivateServer):
    """Redis that keeps nothing over a restart.

    Args:
        settings: of redis.conf, such as `maxmemory="2mb"`.
    """

    def __init__(self, **settings: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise NotInstalled("Redis is missing: apt-get install redis-server, or set ERASER_TEST_REDIS_URL")
        super().__init__()
        self._program = program
        self._settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        options = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        return [self._program, *options]

    def _answers(self) -> bool:
        return redis_answers(self.port)


def redis_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a Redis that asks for no password listens there."""
    try:
        with socket.create_connection((host, port), 1) as line:
            line.sendall(b"PING\r\n")
            return line.recv(7).startswith(b"+PONG")
    except OSError:
        return False


def _postgres_program() -> Path:
    """The newest of Debian's, or the one of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1]
    if (of_path := shutil.which("postgres")) is not None:
        return Path(of_path).resolve()
    raise NotInstalled("PostgreSQL is missing: apt-get install postgresql, or set ERASER_TEST_DATABASE_URL")


def _run_as(account: str | None) -> dict[str, object]:
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
