"""Real servers on real ports, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

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
