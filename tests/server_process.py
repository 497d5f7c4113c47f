"""A real server on a real port, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from log_guard import read_log

TESTS = Path(__file__).parent
SLOW_SERVER = """
import sys
sys.path.insert(0, {tests!r})
from magic_eraser.api.app import create_app
from magic_eraser.api.server import run
from magic_eraser.settings import Settings
from slow_model import SlowInpainter, catalog_with
settings = Settings.load()
run(settings, create_app(settings, catalog=catalog_with(SlowInpainter({seconds}))))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`magic-eraser serve` as an operator runs it; `slow` adds a model that takes so many seconds, and `script` is
    run instead where one is given."""

    def __init__(
        self, data_dir: Path, slow: float | None = None, script: Path | None = None, **environment: str
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self.log_path = data_dir / "server.log"
        data_dir.mkdir(exist_ok=True)
        program = ["-m", "magic_eraser", "serve"]
        if slow is not None:
            program = ["-c", SLOW_SERVER.format(tests=str(TESTS), seconds=slow)]
        if script is not None:
            program = [str(script)]
        given = {
            "ERASER_DATA_DIR": str(data_dir),
            "ERASER_SERVER__PORT": str(self.port),
            "ERASER_LOG__FORMAT": "json",
        }
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program], env={**os.environ, **given, **environment}, stderr=log
            )

    def wait_ready(self, seconds: float = 30) -> float:
        """Seconds until `/readyz` answers 200."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            try:
                if httpx2.get(f"{self.url}/readyz").status_code == 200:
                    return time.monotonic() - start
            except httpx2.TransportError:
                assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise TimeoutError(self.log)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def memory(self, key: str = "VmRSS") -> int:
        """Bytes, of /proc/PID/status."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(key)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            read_log(self.log_path)
