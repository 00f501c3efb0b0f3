"""One polite, suspicious GET: https only, redirects only to hosts that serve the source, time-outs, no re-encoding."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.client import HTTPException
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from upscale_cli import __version__
from upscale_cli.errors import WeightsError

CHUNK = 1 << 18
"""Bytes asked for at once; what has arrived is handed on without waiting for the rest."""
MAX_HOPS = 5
PAGE_LIMIT = 1 << 20
"""Bytes of a web page that are looked at."""


class RefusedError(WeightsError):
    """This source will not give the file; asking again would not help."""


class ElsewhereError(RefusedError):
    """A redirect to a place that the policy does not allow; it was not followed.  url: that place."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


class BrokenLineError(Exception):
    """The line or the server failed for now; asking again may help.

    wait: seconds that the server asked to be left alone.  restart: what was received so far must be thrown away.
    """

    def __init__(self, message: str, wait: float = 0.0, restart: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.restart = restart


@dataclass(frozen=True)
class Policy:
    """Which hosts may be asked on behalf of a source; always over https.

    helpers: host of a source -> host patterns that it is known to hand its files out from.
    """

    helpers: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "download.pytorch.org": ("*.pytorch.org",),
            "drive.google.com": ("docs.google.com", "drive.usercontent.google.com", "*.googleusercontent.com"),
            "github.com": ("*.githubusercontent.com",),
            "huggingface.co": ("*.huggingface.co", "*.hf.co"),
        }
    )

    def allows(self, url: str, origin: str) -> bool:
        """May `url` be asked for a file whose source is the address `origin`?"""
        try:
            there, home = _place(url), _place(origin)
        except ValueError:  # a port that is no number, a bracket too many
            return False
        if urlsplit(url).scheme != "https" or not there[0] or "@" in urlsplit(url).netloc:
            return False
        known = any(fnmatchcase(there[0], pattern) for pattern in self.helpers.get(home[0], ()))
        return there == home or (known and there[1] == 443)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or 443


class Session(requests.Session):
    """Never follows a redirect by itself: `get` does, after asking the policy."""

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"upscale-cli/{__version__}"

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """No target, ever."""
        return None


@dataclass(frozen=True)
class Line:
    """How to reach the servers.  timeout_s: for the connection, and for the next byte."""

    session: requests.Session = field(default_factory=Session)
    policy: Policy = field(default_factory=Policy)
    timeout_s: tuple[float, float] = (10.0, 10.0)


def get(line: Line, url: str, origin: str, headers: Mapping[str, str]) -> tuple[str, requests.Response]:
    """(final address, response with its body unread).  Raises RefusedError or BrokenLineError."""
    first = url
    for _ in range(MAX_HOPS + 1):
        if not line.policy.allows(url, origin):
            message = f"leads to {url[:200]!r}, which is not a place that {urlsplit(origin).netloc} serves files from"
            raise ElsewhereError(message, url)
        response = _ask(line, url, headers)
        if response.status_code not in (301, 302, 303, 307, 308) or "location" not in response.headers:
            return url, response
        response.close()
        url = join(url, response.headers["location"])
    raise RefusedError(f"{first} redirects more than {MAX_HOPS} times")


def join(url: str, target: str) -> str:
    """`target` as seen from the page at `url`.  Raises RefusedError where it is no address."""
    try:
        return urljoin(url, target)
    except ValueError as error:
        raise RefusedError(f"leads to {target[:200]!r}, which is no address") from error


def _ask(line: Line, url: str, headers: Mapping[str, str]) -> requests.Response:
    try:
        return line.session.get(
            url,
            headers={"Accept-Encoding": "identity", **headers},
            stream=True,
            allow_redirects=False,
            timeout=line.timeout_s,
        )
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise RefusedError("the server's certificate is not trusted") from error
        raise BrokenLineError(_why(error)) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise BrokenLineError(_why(error)) from error
    except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
        raise RefusedError(f"no valid request or answer: {_why(error)}") from error


def body(response: requests.Response) -> Iterator[bytes]:
    """The raw body in pieces, as they arrive.  Raises BrokenLineError where the line breaks or falls silent."""
    try:
        while piece := response.raw.read1(CHUNK, decode_content=False):
            yield piece
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        raise BrokenLineError(_why(error)) from error


def read_page(response: requests.Response) -> str:
    """The first PAGE_LIMIT bytes of a page as text."""
    page = b""
    for piece in body(response):
        page += piece
        if len(page) >= PAGE_LIMIT:
            break
    return page[:PAGE_LIMIT].decode("utf-8", "replace")


def check_status(response: requests.Response) -> None:
    """200 and 206 are fine.  Raises BrokenLineError for statuses that pass by themselves, RefusedError for others."""
    status = response.status_code
    if status in (200, 206):
        return
    reason = f"HTTP {status} {response.reason or ''}".strip()
    if status in (408, 425, 429) or status >= 500:
        asked = response.headers.get("retry-after", "")
        raise BrokenLineError(reason, wait=float(asked) if asked.isdecimal() else 1.0)
    if status == 416:
        raise BrokenLineError(reason, restart=True)
    raise RefusedError(reason)


def _why(error: Exception) -> str:
    """One short clause for an error of the network libraries."""
    if isinstance(error, requests.ConnectTimeout):
        return "the connection timed out"
    if isinstance(error, requests.Timeout | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return "the server fell silent"
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "the host's name was not found: is there a network?"
    for known in ("Connection refused", "Network is unreachable", "Connection reset", "IncompleteRead"):
        if known in text:
            return known.replace("IncompleteRead", "the server closed the line in the middle")
    return " ".join(text.split())[:160] or type(error).__name__
