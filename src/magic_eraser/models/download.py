"""Fetching one weight file: resumed where it broke off, checked before it gets its name, once for all processes.

Beside the file NAME lie, while it is fetched, NAME.part (what came so far), NAME.part.etag (which version of the file
that is) and NAME.lock; afterwards NAME.sha256, in the format of `sha256sum`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import filelock
import httpx2
import stamina

from magic_eraser.models import download_faults as faults
from magic_eraser.models.card import WeightFile

HUGGING_FACE = "https://huggingface.co"
ATTEMPTS = 5
"""Tries at one file in one go, each going on where the last one broke off."""
TIMEOUT = httpx2.Timeout(30, connect=10)
"""Seconds without a byte; seconds until a server answers the phone."""
BLOCK = 1 << 20

OnProgress = Callable[[WeightFile, int, int], None]
"""Told (file, bytes there so far, bytes in all; 0 where the server does not say, or has not yet)."""


@dataclass(frozen=True, slots=True)
class Source:
    """Whom files are fetched from.

    Attributes:
        mirror: address in whose place the publishers' hosts are never asked; it serves their paths. With
            `https://mirror.example/weights`, `https://github.com/a/b.pt` is `https://mirror.example/weights/a/b.pt`.
        hf_endpoint: stands for `https://huggingface.co`; empty for itself.
        hf_token: sent to `hf_endpoint` only, not to where it redirects, not to a mirror.
    """

    mirror: str = ""
    hf_endpoint: str = ""
    hf_token: str = ""

    def address(self, url: str) -> str:
        """Where the file that is published at `url` is fetched from.

        Raises:
            DownloadFailed: that is no http(s) address.
        """
        address = url
        if self.mirror:
            parts = urlsplit(url)
            address = self.mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")
        elif self._published_at_hugging_face(url):
            address = self._endpoint() + url.removeprefix(HUGGING_FACE)
        if not is_web(address):
            raise faults.not_web(address)
        return address

    def asks_hugging_face(self, url: str) -> bool:
        """Whether `address(url)` is on Hugging Face, or what stands for it."""
        return not self.mirror and self._published_at_hugging_face(url)

    def _endpoint(self) -> str:
        return (self.hf_endpoint or HUGGING_FACE).rstrip("/")

    @staticmethod
    def _published_at_hugging_face(url: str) -> bool:
        return url.startswith(f"{HUGGING_FACE}/")


class _TryAgain(Exception):
    """The server answered with `status`, which another try may change; 0: what is kept does not fit its answer."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        super().__init__(status)


def is_web(address: str) -> bool:
    """Whether it is an http(s) address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def client(transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    """An HTTP client as `fetch` wants it; heeds HTTPS_PROXY and SSL_CERT_FILE."""
    return httpx2.Client(timeout=TIMEOUT, follow_redirects=True, transport=transport)


def beside(target: Path, ending: str) -> Path:
    """The file next to the weights that keeps what is to be known about them."""
    return target.with_name(target.name + ending)


def digests(path: Path) -> tuple[str, str]:
    """(md5, sha256) of a file, lower-case hex."""
    md5, sha256 = hashlib.new("md5", usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            md5.update(block)
            sha256.update(block)
    return md5.hexdigest(), sha256.hexdigest()


@contextmanager
def alone(target: Path, timeout: float = -1) -> Iterator[None]:
    """Only one thread of one process at a time, machine-wide; waits `timeout` seconds, for ever where negative.

    Raises:
        DownloadFailed: another one is at it still.
    """
    lock = filelock.FileLock(beside(target, ".lock"))
    try:
        lock.acquire(timeout=timeout, poll_interval=0.1)
    except filelock.Timeout:
        raise faults.in_use(target) from None
    try:
        yield
    finally:
        lock.release()


def fetch(
    file: WeightFile,
    target: Path,
    source: Source,
    session: httpx2.Client,
    on_progress: OnProgress | None = None,
) -> None:
    """Fetch `file` to `target`; returns at once where another process has done it meanwhile.

    Raises:
        DownloadFailed: with what is wrong and the way out. What came so far is kept, unless its checksum is wrong.
    """
    if not file.url:
        raise faults.no_address(file)
    address = source.address(file.url)
    if on_progress:  # something to look at while another process has the lock, or the server thinks
        on_progress(file, 0, 0)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target):
            if not (target.is_file() and target.stat().st_size):
                _Transfer(file, target, address, source, session, on_progress).run()
            # Whoever waited for the lock, on whichever inode, finds the file and is done: no one needs it any more.
            beside(target, ".lock").unlink(missing_ok=True)
    except OSError as error:
        raise faults.unwritable(target.parent, error) from error


class _Transfer:
    """One file on its way."""

    def __init__(
        self,
        file: WeightFile,
        target: Path,
        address: str,
        source: Source,
        session: httpx2.Client,
        on_progress: OnProgress | None,
    ) -> None:
        self.file, self.target, self.address, self.session = file, target, address, session
        self.part, self.tag = beside(target, ".part"), beside(target, ".part.etag")
        self.hugging_face = source.asks_hugging_face(file.url)
        self.token = source.hf_token.strip() if self.hugging_face else ""
        self.sha256 = file.sha256
        self.tell = on_progress or (lambda _file, _done, _total: None)

    def run(self) -> None:
        resumed = self._kept() > 0
        self._receive()
        sha256 = self._checked()
        if not sha256 and resumed:
            # the kept part may have been of another server's file: once more, from the start
            self._forget()
            self._receive()
            sha256 = self._checked()
        if not sha256:
            self._forget()
            raise faults.wrong_checksum(self.file, self.address)
        beside(self.target, ".sha256").write_text(f"{sha256}  {self.target.name}\n")
        os.replace(self.part, self.target)
        self.tag.unlink(missing_ok=True)

    def _receive(self) -> None:
        try:
            for attempt in stamina.retry_context(
                on=_worth_another_try, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=5
            ):
                with attempt:
                    self._receive_once()
        except _TryAgain as error:
            if not error.status:
                raise faults.cut_off(self.file, self.address, slow=False) from error
            raise faults.refused(error.status, self.address, hugging_face=self.hugging_face) from error
        except httpx2.ConnectError as error:
            if "CERTIFICATE" in str(error).upper():
                raise faults.untrusted(self.address) from error
            raise faults.unreachable(self.address, str(error)) from error
        except (httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise faults.unreachable(self.address, str(error) or "no answer") from error
        except (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects, httpx2.InvalidURL) as error:
            raise faults.unusable_address(self.address, str(error)) from error
        except httpx2.HTTPError as error:
            slow = isinstance(error, httpx2.TimeoutException)
            raise faults.cut_off(self.file, self.address, slow=slow) from error

    def _receive_once(self) -> None:
        have = self._kept()
        with self.session.stream("GET", self.address, headers=self._headers(have)) as answer:
            if self.hugging_face:
                self._learn_checksum(answer)
            status = answer.status_code
            if status == 416 and answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it was here: the process ended before the file had its name
            if status == 416 or (status == 206 and _range(answer)[0] != have):
                self._forget()
                raise _TryAgain
            if status in {408, 425, 429} or status >= 500:
                raise _TryAgain(status)
            if status not in {200, 206}:
                raise faults.refused(status, self.address, hugging_face=self.hugging_face)
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise faults.web_page(self.address)
            if status == 206:
                total = _range(answer)[1]
            else:
                have, total = 0, int(answer.headers.get("Content-Length", 0))
                self._begin(answer)
            free = shutil.disk_usage(self.target.parent).free
            if total - have > free:
                raise faults.no_room(self.target.parent, total - have, free)
            self._write(answer, have, total)

    def _headers(self, have: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}  # a length is a length of the file then
        if self.token:
            # httpx2 drops it where a redirect leaves the host
            headers["Authorization"] = f"Bearer {self.token}"
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.tag.exists():
                headers["If-Range"] = self.tag.read_text()
        return headers

    def _kept(self) -> int:
        """Bytes of the file that an earlier try left and that can be gone on from."""
        if not self.part.exists():
            return 0
        knowable = self.tag.exists() or self.file.sha256 or self.file.md5
        return self.part.stat().st_size if knowable else 0

    def _begin(self, answer: httpx2.Response) -> None:
        """A fresh part, and the validator by which a later try makes sure that it is of the same file."""
        self._forget()
        self.part.touch()
        etag = answer.headers.get("ETag", "")
        # a strong one only (RFC 9110, 13.1.5)
        validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
        if validator:
            self.tag.write_text(validator)

    def _write(self, answer: httpx2.Response, have: int, total: int) -> None:
        self.tell(self.file, have, total)
        with self.part.open("ab") as stream:
            for block in answer.iter_raw():
                stream.write(block)
                stream.flush()  # a process that is killed leaves what came
                have += len(block)
                self.tell(self.file, have, total)
        if have < total:
            raise httpx2.ReadError("the connection ended before the file did")

    def _learn_checksum(self, answer: httpx2.Response) -> None:
        """Hugging Face names the SHA-256 of a large file as its ETag, where it redirects to its storage."""
        if self.file.sha256 or self.file.md5:
            return
        first = (*answer.history, answer)[0]
        etag = first.headers.get("X-Linked-ETag", "").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", etag):
            self.sha256 = etag

    def _checked(self) -> str:
        """The SHA-256 of what came; empty where it is not the published file."""
        if not self.part.stat().st_size:
            self._forget()
            raise faults.web_page(self.address)
        with self.part.open("rb") as stream:
            os.fsync(stream.fileno())  # before the name, or a power cut leaves the name with holes behind it
        md5, sha256 = digests(self.part)
        wrong = (self.sha256 and self.sha256 != sha256) or (self.file.md5 and self.file.md5 != md5)
        return "" if wrong else sha256

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)


def _range(answer: httpx2.Response) -> tuple[int, int]:
    """(first byte, bytes in all) of a partial answer; (-1, 0) where it does not say."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if not match:
        return -1, 0
    return int(match[1]), 0 if match[2] == "*" else int(match[2])


def _worth_another_try(error: Exception) -> bool:
    if isinstance(error, httpx2.ConnectError):
        return "CERTIFICATE" not in str(error).upper()
    hopeless = (httpx2.UnsupportedProtocol, httpx2.ProxyError)
    return isinstance(error, _TryAgain) or (
        isinstance(error, httpx2.TransportError) and not isinstance(error, hopeless)
    )
