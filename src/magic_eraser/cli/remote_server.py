"""A server of ours as the command line speaks to it: what it refuses is one line, and one that goes away for a while is
waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from magic_eraser.errors import EraserError

PATIENCE_SECONDS = 300.0
"""How long a server that was there may be away: a restart with weights to load takes up to a minute."""
SILENT_SECONDS = 45.0
"""Without a word from a stream of events (a server of ours says one every 15 s) it is asked anew."""
POLL_SECONDS = 2.0
LONGEST_WAIT = 60.0
"""A server that asks for more than that is not waited for: a quota, and no rush."""
MOST_BROKEN = 5
"""Connections of one request that break before its answer: the sixth upload of a gigabyte would break, too."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0
_BUSY = frozenset({408, 429, 502, 503, 504})
_OVER = frozenset({"succeeded", "failed", "cancelled"})


class Unreachable(EraserError):
    """Nobody answers there."""

    title = "The server cannot be reached."
    hint = "See whether it runs, and whether the address after --server is right."


class Refused(EraserError):
    """What the server says, in its own words.

    Attributes:
        answered: status of HTTP.
        said: the code of an error of ours; empty for other servers.
        most_items: pairs that it takes in one job, where it says so.
    """

    def __init__(
        self,
        answered: int,
        said: str,
        sentence: str,
        *,
        retry_after: float | None = None,
        most_items: int | None = None,
    ) -> None:
        super().__init__(sentence, retry_after=retry_after)
        self.answered = answered
        self.said = said
        self.most_items = most_items

    def sentence(self, language: str = "en") -> str:
        return self.detail

    @property
    def passing(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        busy = self.answered in _BUSY or self.said == "idempotency_in_flight"
        return busy and (self.retry_after or 0) <= LONGEST_WAIT


@dataclass(slots=True)
class _Patience:
    """How long to go on trying.

    Attributes:
        seconds: that everything may fail in a row; 0 gives up at once.
        pause: waits so many seconds.
    """

    seconds: float
    pause: Callable[[float], None]
    _since: float | None = None
    _tries: int = 0

    def lost(self, error: EraserError) -> None:
        """Wait a moment, longer each time.

        Raises:
            EraserError: this one; patience is over.
        """
        at = time.monotonic()
        self._since = at if self._since is None else self._since
        wait = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._tries)
        wait = max(wait, error.retry_after or 0)
        if at + wait - self._since > self.seconds:
            raise error
        self._tries += 1
        self.pause(wait)


class RemoteServer:
    """A server by its address; a context manager that closes its connections.

    Args:
        address: `http(s)://host[:port][/path]`.
        key: sent as bearer token and as `X-API-Key`; empty for none.
        patience: seconds that a server which has answered once may be away.
        pause: `time.sleep`.
        transport: instead of the network.

    Attributes:
        address: without a slash at its end.
        met: whether somebody was there at all.

    Raises:
        ValueError: no such address; the message says what is wrong.
    """

    def __init__(
        self,
        address: str,
        key: str = "",
        *,
        patience: float = PATIENCE_SECONDS,
        pause: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.address = _base(address)
        headers = {"Accept-Language": "en", "User-Agent": "magic-eraser"}
        if key:
            headers |= {"Authorization": f"Bearer {key}", "X-API-Key": key}
        timeout = httpx2.Timeout(SILENT_SECONDS, connect=10, read=120)
        self._client = httpx2.Client(headers=headers, timeout=timeout, transport=transport)
        self._patience = patience
        self._pause = pause
        self.met = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def post(
        self,
        path: str,
        body: Iterable[bytes],
        headers: Mapping[str, str],
        *,
        key: str,
        expect: tuple[str, ...],
        seconds: float = 120.0,
        busy: bool = True,
    ) -> dict[str, Any]:
        """Send it, again where the connection broke: by its key the server does it once.

        Args:
            body: iterated over each time.
            key: `Idempotency-Key`.
            expect: members that the answer, a JSON object, must have.
            seconds: longest wait for the answer.
            busy: whether to wait for a server that says it is busy.

        Raises:
            Unreachable, Refused: see there.
        """
        given = {**headers, "Idempotency-Key": f'"{key}"'}
        timeout = httpx2.Timeout(SILENT_SECONDS, connect=10, read=seconds)
        response = self._patiently(
            lambda: self._client.post(
                self.address + path, content=iter(body), headers=given, timeout=timeout
            ),
            busy=busy,
        )
        return self._object(response, expect)

    def result(self, job: str, index: int) -> bytes:
        """An item's picture.

        Raises:
            Unreachable, Refused: see there.
        """
        return self._get(f"/v1/jobs/{job}/items/{index}").content

    def _get(self, path: str) -> httpx2.Response:
        return self._patiently(lambda: self._client.get(self.address + path))

    def _object(self, response: httpx2.Response, expect: tuple[str, ...]) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or any(name not in body for name in expect):
            raise Refused(
                response.status_code, "", f"What answers at {self.address} is no Magic Eraser of today."
            )
        return body

    def follow(self, job: str) -> Iterator[dict[str, Any]]:
        """The items of a job that are over, as they end and each at least once, until the job is over. A stream that
        breaks off is taken up where it was; where there is none, the job is asked for every 2 s.

        Raises:
            Unreachable, Refused: see there.
        """
        last, streams = "", True
        while True:
            heard = False
            try:
                for event in self._events(job, last) if streams else ():
                    if event.event not in ("item", "job"):
                        continue
                    told: Any = event.json()
                    heard, last = True, event.id or last
                    if event.event == "item":
                        yield told
                    elif told["state"] in _OVER:
                        return
            except Refused as error:
                streams = error.passing
            except httpx2.SSEError:
                streams = False
            except (httpx2.TransportError, ValueError):
                pass  # it broke off, perhaps within an event; what that means, the next line finds out
            state = self._object(self._get(f"/v1/jobs/{job}"), ("state", "items"))
            yield from (item for item in state["items"] if item["success"] is not None)
            if state["state"] in _OVER:
                return
            self._pause(_FIRST_PAUSE if heard else POLL_SECONDS)

    def _events(self, job: str, last: str) -> Iterator[httpx2.ServerSentEvent]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last:
            headers["Last-Event-ID"] = last
        url, timeout = f"{self.address}/v1/jobs/{job}/events", httpx2.Timeout(SILENT_SECONDS, connect=10)
        with self._client.stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.status_code != 200:
                response.read()
                raise _refusal(response)
            yield from httpx2.EventSource(response)

    def _patiently(self, ask: Callable[[], httpx2.Response], *, busy: bool = True) -> httpx2.Response:
        patience, broken = _Patience(self._patience if self.met else 0.0, self._pause), 0
        while True:
            try:
                response = ask()
            except httpx2.LocalProtocolError as error:
                raise Unreachable(f"A file changed while it was sent to {self.address}: {error}.") from None
            except httpx2.TransportError as error:
                reason = str(error) or type(error).__name__
                if not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
                    self.met, broken = True, broken + 1
                    patience.seconds = self._patience if broken < MOST_BROKEN else 0.0
                patience.lost(Unreachable(f"The server {self.address} cannot be reached: {reason}."))
                continue
            self.met, patience.seconds = True, self._patience
            if response.is_success:
                return response
            refusal = _refusal(response)
            if not refusal.passing or (not busy and refusal.said != "idempotency_in_flight"):
                raise refusal
            patience.lost(refusal)


def _refusal(response: httpx2.Response) -> Refused:
    """Another answer than success, as an error; of a server of ours its detail and hint."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    words = [body[name] for name in ("detail", "hint") if isinstance(body.get(name), str)]
    if not words and response.is_redirect:
        words = [f"it sends on to {response.headers.get('location')}; give that address instead"]
    sentence = "".join(letter if letter.isprintable() else " " for letter in " ".join(words)[:600]).strip()
    given = response.headers.get("retry-after", "")
    wait = float(given[:9]) if given.isascii() and given.isdecimal() else None
    said, most = body.get("code"), body.get("max_items")
    return Refused(
        response.status_code,
        said if isinstance(said, str) else "",
        f"The server answered {response.status_code}: {sentence or '(no reason given)'}",
        retry_after=wait,
        most_items=most if isinstance(most, int) and most > 0 else None,
    )


def _base(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no address; it looks like http://host:7860")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a key belongs after --api-key, and not into the address")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
