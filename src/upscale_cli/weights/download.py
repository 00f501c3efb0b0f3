"""A file from one of several addresses, byte for byte, over a line that may break.

What is received goes on where it stopped only if it is surely the same file: 206, the right start, end and total, the
same validator; without validator and hash, the last bytes are fetched again and compared.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import requests

from upscale_cli.disk import free_bytes
from upscale_cli.errors import WeightsError
from upscale_cli.weights import web
from upscale_cli.weights.atomic import disk_full
from upscale_cli.weights.google_drive import DriveSource, file_id, parse_page
from upscale_cli.weights.part import Origin, Part, Progress, Want
from upscale_cli.weights.web import BrokenLineError, RefusedError

OVERLAP = 1 << 16
"""Bytes fetched again and compared where nothing else says that the file is still the same."""
LARGEST = 8 << 30
"""Bytes after which a file of unknown length is given up."""


@dataclass(frozen=True)
class Patience:
    """When to stop.  tries: in a row without a new byte.  silence_s: without a new byte, all tries together.

    rate: bytes per second, the least over any rate_s seconds.
    """

    tries: int = 5
    silence_s: float = 45.0
    rate: float = 1024.0
    rate_s: float = 60.0
    longest_wait_s: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Downloader:
    """Fetches files over a line, with patience."""

    line: web.Line = field(default_factory=web.Line)
    patience: Patience = field(default_factory=Patience)

    def fetch(self, urls: Sequence[str], want: Want, part: Part, progress: Progress | None = None) -> str:
        """Fill `part` with the wanted file from the first address that gives it; returns its sha256.

        Raises WeightsError naming each address and why it failed, ResourceError where the disk is full.
        """
        failures = []
        for url in urls:
            try:
                return _Attempt(self, url, want, part, progress or _no_progress).run()
            except RefusedError as refused:
                failures.append((f"{url}: {refused.message}", refused.hint))
        hint = next(
            (hint for _, hint in failures if hint), "try again later, or give a mirror in a catalogue of your own"
        )
        raise WeightsError("could not be downloaded: " + "; ".join(message for message, _ in failures), hint)


def _no_progress(done: int, total: int | None) -> None:
    """Nobody is looking."""


class _Source(Protocol):
    def open(self, headers: Mapping[str, str]) -> requests.Response: ...


@dataclass(frozen=True)
class _WebSource:
    line: web.Line
    url: str

    def open(self, headers: Mapping[str, str]) -> requests.Response:
        _, response = web.get(self.line, self.url, self.url, headers)
        try:
            web.check_status(response)
        except (RefusedError, BrokenLineError):
            response.close()
            raise
        return response


class _Attempt:
    """One address, tried until it gives the file or nothing new."""

    def __init__(self, downloader: Downloader, url: str, want: Want, part: Part, progress: Progress) -> None:
        self._line, self._patience = downloader.line, downloader.patience
        self._url, self._want, self._part, self._progress = url, want, part, progress
        self._heard = self._since = self._patience.clock()
        self._received = 0

    def run(self) -> str:
        """The finished file's sha256.  Raises RefusedError, ResourceError."""
        source, patience = self._source(), self._patience
        best, fails, restarts = self._usable(), 0, 0
        while True:
            try:
                self._receive(source)
                return self._checked()
            except BrokenLineError as error:
                best, fails = (self._part.size, 0) if self._part.size > best else (best, fails + 1)
                wait = min(max(error.wait, 0.25 * 2**fails), patience.longest_wait_s) if fails else 0.0
                silence = patience.clock() + wait - self._heard
                if max(fails, restarts) >= patience.tries or silence > patience.silence_s:
                    raise RefusedError(f"gave up after {max(fails, restarts)} tries in vain: {error}") from error
                if error.restart:
                    restarts, best = restarts + 1, 0
                    self._part.begin(self._origin(None, None))
                patience.sleep(wait)

    def _source(self) -> _Source:
        identity = file_id(self._url)
        return _WebSource(self._line, self._url) if identity is None else DriveSource(self._line, identity)

    def _origin(self, validator: str | None, total: int | None) -> Origin:
        return Origin(self._url, validator, self._want.sha256, total)

    def _usable(self) -> int:
        """How many of the part's bytes are of this address's file."""
        return self._part.size if self._part.origin is not None and self._part.origin.url == self._url else 0

    def _receive(self, source: _Source) -> None:
        """One connection: what it gives is added to the part.  Returns when the file is whole."""
        held, origin = self._usable(), self._part.origin
        if held and origin is not None and held == origin.bytes:
            return  # whole already: killed, or found wrong, at the last moment
        unsure = origin is None or (origin.validator is None and origin.sha256 is None)
        tail = self._part.tail(OVERLAP) if held and unsure else b""
        headers = {"Range": f"bytes={held - len(tail)}-"} if held - len(tail) > 0 else {}
        if headers and origin is not None and origin.validator is not None:
            headers["If-Range"] = origin.validator
        with source.open(headers) as response:
            total: int | None
            if response.status_code == 206:
                total = _resumed_total(response, held - len(tail), origin, asked=bool(headers))
                self._part.resumed = True
                pieces = _after(tail, web.body(response))
            else:
                total = self._begin(response)
                pieces = web.body(response)
            self._append(pieces, total)
        if total is None and "chunked" not in response.headers.get("transfer-encoding", ""):
            self._check_unmeasured()
        elif total is not None and self._part.size < total:
            raise BrokenLineError(f"the server closed the line at {self._part.size:,} of {total:,} bytes")

    def _begin(self, response: requests.Response) -> int | None:
        """Start the part over with this whole-file response; the file's length, if anybody knows it."""
        web.check_status(response)
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise RefusedError(f"sends the file re-encoded ({encoding})")
        if "html" in response.headers.get("content-type", ""):
            raise RefusedError(f"sent a web page instead of the file: {parse_page(web.read_page(response)).words()}")
        length = response.headers.get("content-length", "")
        total: int | None = int(length) if length.isdecimal() else None
        if total == 0:
            raise RefusedError("sent an empty file")
        if self._want.bytes is not None and total is not None and total != self._want.bytes:
            raise RefusedError(f"expected {self._want.bytes:,} bytes, got {total:,}", self._trust)
        total = total if total is not None else self._want.bytes
        folder = self._part.path.parent
        if total is not None and total - self._part.size > free_bytes(folder):
            raise disk_full(folder, total)
        self._part.begin(self._origin(_validator(response), total))
        return total

    def _append(self, pieces: Iterable[bytes], total: int | None) -> None:
        limit = total if total is not None else LARGEST
        for piece in pieces:
            if self._part.size == 0 and piece.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise RefusedError("sent a web page instead of the file")
            if self._part.size + len(piece) > limit:
                raise self._wrong(f"the server sent more than {limit:,} bytes")
            self._part.append(piece)
            self._heard = self._patience.clock()
            self._check_rate(len(piece))
            self._progress(self._part.size, total)

    def _check_rate(self, size: int) -> None:
        """Over each window of rate_s seconds, waits between tries included, enough must have come."""
        self._received += size
        passed = self._patience.clock() - self._since
        if passed < self._patience.rate_s:
            return
        if self._received < self._patience.rate * passed:
            slow = f"{self._received / passed:.0f} bytes per second over {passed:.0f} s"
            raise RefusedError(f"too slow: {slow}, at least {self._patience.rate:.0f} are expected")
        self._since, self._received = self._patience.clock(), 0

    def _check_unmeasured(self) -> None:
        """The line closed, and nobody said at how many bytes it should."""
        if self._want.sha256 is None:
            raise RefusedError(
                "does not say how long the file is, so that a cut one could not be told from a whole one"
            )
        if not self._want.accepts(self._part.sha256()):
            raise BrokenLineError(f"the server closed the line after {self._part.size:,} bytes, which are not the file")

    def _checked(self) -> str:
        """The whole part's sha256, once it is the wanted one."""
        digest = self._part.sha256()
        if self._want.accepts(digest):
            return digest
        raise self._wrong(f"{self._want}, got {digest}", self._trust)

    @property
    def _trust(self) -> str:
        """What to do where the file is not what the first download was; "" where the publisher says what it is."""
        return "if you trust the new file: 'upscale models remove' it, then pull it again" if self._want.pinned else ""

    def _wrong(self, message: str, hint: str = "") -> RefusedError | BrokenLineError:
        """The error for content that cannot be the file's; what was received is thrown away."""
        if self._part.resumed:  # perhaps two versions in one: once more from the start
            return BrokenLineError(message, restart=True)
        self._part.begin(self._origin(None, None))
        return RefusedError(message, hint)


def _validator(response: requests.Response) -> str | None:
    """What names this version of the file: a strong ETag, else its date."""
    tag = response.headers.get("etag", "")
    return tag if tag.startswith('"') else response.headers.get("last-modified")


def _resumed_total(response: requests.Response, start: int, origin: Origin | None, *, asked: bool) -> int:
    """The whole file's length, where a 206 goes on with the same file at `start`.  Raises BrokenLineError otherwise."""
    headers = response.headers
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("content-range", "").strip())
    if not asked or origin is None or found is None:
        raise BrokenLineError("the server sent a part that was not asked for", restart=True)
    first, last, total = (int(number) for number in found.groups())
    same = (
        (first, last) == (start, total - 1)
        and origin.bytes in (None, total)
        and headers.get("content-encoding", "identity") == "identity"
        and headers.get("content-length", str(total - start)) == str(total - start)
        and _validator(response) in (None, origin.validator)
    )
    if not same:
        raise BrokenLineError("the file changed on the server, or the server sent another part of it", restart=True)
    return total


def _after(tail: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """`pieces` without the bytes that we hold already.  Raises BrokenLineError where these differ."""
    for piece in pieces:
        known, tail, rest = tail[: len(piece)], tail[len(piece) :], piece[len(tail) :]
        if not piece.startswith(known):
            raise BrokenLineError("the file changed on the server", restart=True)
        if rest:
            yield rest
