"""Real servers on real ports, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from child_house import House, children
from server_process import Server


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Server]]:
    """`start(slow=..., ERASER_...=...)`: a ready server, stopped at the end."""
    servers = []

    def begin(**options) -> Server:
        folder = options.pop("data_dir", tmp_path / f"data{len(servers)}")
        server = Server(folder, **options)
        servers.append(server)
        server.wait_ready()
        return server

    yield begin
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def every_weight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files for every model of the catalogue, not to be written to."""
    from checkpoints import whole_catalog  # torch: 1 s that other tests here need not wait for

    return whole_catalog.write(tmp_path_factory.mktemp("every_weight"))


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    """`house(*entries, ...)`: a pool; at the end no process is left of it."""
    houses = []

    def build(*entries, **options) -> House:
        houses.append(House(*entries, **options))
        return houses[-1]

    yield build
    for each in houses:
        each.close()
    assert children() == []
