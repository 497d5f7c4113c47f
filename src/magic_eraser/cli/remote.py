"""Pairs worked through by a server: one photograph by `/v1/erase`, a folder as jobs by `/v1/jobs`."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import typer

from magic_eraser.cli import progress
from magic_eraser.cli.pairs import Pair, Report, write
from magic_eraser.cli.remote_form import Form
from magic_eraser.cli.remote_notes import Notes, Sent
from magic_eraser.cli.remote_server import Refused, RemoteServer
from magic_eraser.errors import EraserError
from magic_eraser.service.request import EraseOptions, OutputFormat

MOST_ITEMS = 1000
MOST_BYTES = 512 * 1024 * 1024
"""Of one job, at first: halved where the server takes less. Its own usual limits are 1,000 pairs and 1 GiB."""


def form_fields(options: EraseOptions, format: OutputFormat, quality: int | None) -> dict[str, str]:
    """The fields of `/v1/erase`: what differs from its defaults, so that an older server takes them too."""
    given: dict[str, Any] = {"model": options.model}
    usual = EraseOptions()
    for option in fields(EraseOptions):
        value = getattr(options, option.name)
        if value != getattr(usual, option.name):
            given[option.name] = "true" if value is True else value
    if format != "same":
        given["format"] = format
    if quality is not None:
        given["quality"] = quality
    return {name: str(value) for name, value in given.items()}


def one(server: RemoteServer, pair: Pair, wishes: Mapping[str, str], timeout: float | None) -> Report:
    """Have one done; what goes wrong is in the report."""
    assert pair.mask is not None
    start = time.monotonic()
    headers = {"Accept": "application/json"}
    if timeout is not None:
        headers["X-Eraser-Deadline"] = f"{timeout:.3f}"
    try:
        form = Form(wishes, [("image", pair.photo.name, pair.photo), ("mask", pair.mask.name, pair.mask)])
        headers |= form.headers
        longest = 3600.0 if timeout is None else timeout + 60
        answer = server.post(
            "/v1/erase",
            form,
            headers,
            key=str(uuid.uuid4()),
            expect=("image", "model", "notices"),
            seconds=longest,
            busy=False,
        )
        write(pair.target, base64.b64decode(answer["image"].partition(",")[2]))
    except EraserError as error:
        return Report(pair, error=error.sentence(), seconds=time.monotonic() - start)
    except OSError as error:
        return Report(pair, error=f"{error.filename or pair.target}: {error.strerror}")
    notices = tuple(notice["message"] for notice in answer["notices"])
    return Report(pair, model=answer["model"], seconds=time.monotonic() - start, notices=notices)


def run(
    server: RemoteServer,
    pairs: Sequence[Pair],
    wishes: Mapping[str, str],
    folder: Path,
    *,
    skip_done: bool,
    show: bool,
) -> list[Report]:
    """Have them done; one that fails does not stop the rest.

    Interrupted by the keyboard, it leaves the server at work, says so, and exits with 130: the same command goes on.

    Args:
        wishes: of all of them, by `form_fields`.
        folder: of the results; what is under way is noted there.
        show: a progress bar.

    Raises:
        Unreachable, Refused: the server takes no such job at all, or went away for longer than it is waited for.
        typer.Exit: see above.
    """
    with progress.of_folder(len(pairs)) if show else nullcontext() as advance:
        task = _Folder(server, wishes, Notes(folder), advance or _nothing)
        try:
            task.work(pairs, skip_done=skip_done)
        except KeyboardInterrupt:
            if task.job is None:
                raise
            typer.echo(_left_running(server, task.job), err=True)
            raise typer.Exit(130) from None
    return [task.reports[pair] for pair in pairs]


def _nothing(_name: str) -> None:
    return None


def _left_running(server: RemoteServer, job: str) -> str:
    return (
        f"magic-eraser: interrupted; the server works on. The same command goes on from here; to stop it: "
        f"curl -X DELETE {server.address}/v1/jobs/{job}"
    )


@dataclass(frozen=True, slots=True)
class _Open:
    """A pair that is to be sent."""

    pair: Pair
    mask: Path
    digest: str
    size: int


def _batches(whole: Sequence[_Open], most_items: int) -> list[Sequence[_Open]]:
    """In order, none larger than `most_items` and, but for a single one, `MOST_BYTES`."""
    batches: list[list[_Open]] = []
    size = 0
    for each in whole:
        if not batches or len(batches[-1]) == most_items or size + each.size > MOST_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(each)
        size += each.size
    return [*batches]


class _Folder:
    """One run over a folder.

    Attributes:
        reports: of the pairs that are settled.
        job: what the server works on just now.
    """

    def __init__(
        self, server: RemoteServer, wishes: Mapping[str, str], notes: Notes, advance: Callable[[str], None]
    ) -> None:
        self._server = server
        self._wishes = wishes
        self._notes = notes
        self._advance = advance
        self.reports: dict[Pair, Report] = {}
        self.job: str | None = None

    def work(self, pairs: Sequence[Pair], *, skip_done: bool) -> None:
        """Until each pair has its report."""
        todo = {}
        for pair in pairs:
            if skip_done and pair.target.exists():
                self._settle(Report(pair, skipped=True))
            elif (wanted := self._looked_at(pair)) is not None:
                todo[wanted.digest] = wanted
        for sent in self._notes.of(self._server.address):
            self._take_up(sent, todo)
        rest = [each for each in todo.values() if each.pair not in self.reports]
        self._in_jobs(rest)

    def _settle(self, report: Report) -> None:
        self.reports[report.pair] = report
        self._advance(report.pair.photo.name)

    def _looked_at(self, pair: Pair) -> _Open | None:
        """Read once before anything is sent: what cannot be read fails here."""
        if pair.mask is None:
            self._settle(Report(pair, error=f"There is no mask named like {pair.photo.name}."))
            return None
        whole = hashlib.sha256(json.dumps([pair.photo.name, sorted(self._wishes.items())]).encode())
        try:
            for path in (pair.photo, pair.mask):
                with path.open("rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
            size = pair.photo.stat().st_size + pair.mask.stat().st_size
        except OSError as error:
            self._settle(Report(pair, error=f"{error.filename or pair.photo}: {error.strerror}"))
            return None
        return _Open(pair, pair.mask, whole.hexdigest(), size)

    def _take_up(self, sent: Sent, todo: Mapping[str, _Open]) -> None:
        """A job of an earlier run of the same command, as far as it is still wanted."""
        wanted = {
            index: todo[digest]
            for index, digest in enumerate(sent.items)
            if digest in todo and todo[digest].pair not in self.reports
        }
        if not wanted:
            self._notes.remove(sent)
        elif sent.job:
            try:
                self._follow(sent, wanted)
            except Refused as error:
                if error.answered != 404:
                    raise
                self.job = None  # over its time, or deleted: what is missing is sent anew
                self._notes.remove(sent)
        elif len(wanted) == len(sent.items):
            with suppress(Refused):  # it is sent anew, and whatever is wrong is met there
                self._submit(sent, list(wanted.values()))
        else:
            self._notes.remove(sent)

    def _in_jobs(self, rest: Sequence[_Open]) -> None:
        """A batch that is too large is halved, so that one picture that is too large is found, and fails alone."""
        batches = _batches(rest, MOST_ITEMS)
        while batches:
            batch = batches.pop(0)
            sent = Sent(self._server.address, str(uuid.uuid4()), tuple(each.digest for each in batch))
            self._notes.add(sent)
            try:
                self._submit(sent, batch)
            except Refused as error:
                if error.answered != 413:
                    raise
                if len(batch) == 1:
                    self._settle(Report(batch[0].pair, error=error.sentence()))
                elif error.most_items is not None and error.most_items < len(batch):
                    batches = [
                        part for whole in (batch, *batches) for part in _batches(whole, error.most_items)
                    ]
                else:
                    middle = (len(batch) + 1) // 2
                    batches[:0] = [batch[:middle], batch[middle:]]

    def _submit(self, sent: Sent, batch: Sequence[_Open]) -> None:
        files = []
        for each in batch:
            files += [("image", each.pair.photo.name, each.pair.photo), ("mask", each.mask.name, each.mask)]
        form = Form(self._wishes, files)
        try:
            job = self._server.post("/v1/jobs", form, form.headers, key=sent.key, expect=("id",))["id"]
        except EraserError as error:
            if isinstance(error, Refused) or not self._server.met:  # else it may have come through
                self._notes.remove(sent)
            raise
        accepted = self._notes.accepted(sent, job)
        self._follow(accepted, dict(enumerate(batch)))

    def _follow(self, sent: Sent, wanted: Mapping[int, _Open]) -> None:
        """Fetch each result as it is there; what the job leaves open when it is over has failed."""
        self.job = sent.job
        for item in self._server.follow(sent.job):
            each = wanted.get(item["index"])
            if each is not None and each.pair not in self.reports:
                self._settle(self._fetched(sent.job, item, each.pair))
        self.job = None
        for each in wanted.values():
            if each.pair not in self.reports:
                self._settle(Report(each.pair, error="The job was cancelled."))
        self._notes.remove(sent)

    def _fetched(self, job: str, item: Mapping[str, Any], pair: Pair) -> Report:
        seconds = float(item.get("seconds") or 0)
        if not item["success"]:
            return Report(pair, error=item.get("error") or "The job was cancelled.", seconds=seconds)
        try:
            write(pair.target, self._server.result(job, item["index"]))
        except Refused as error:
            return Report(pair, error=error.sentence())
        except OSError as error:
            return Report(pair, error=f"{pair.target}: {error.strerror}")
        notices = tuple(item.get("notices") or ())  # their codes: a job's items have no sentences for them
        return Report(pair, model=item.get("model"), seconds=seconds, notices=notices)
