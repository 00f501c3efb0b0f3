"""A web server on loopback that plays every host, told apart by the Host header, and a session that reaches it.

Addresses stay https:// for the code under test; only the last step, the connection, goes to the loopback port.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from upscale_cli.weights.download import Downloader, Patience
from upscale_cli.weights.web import Line, Session


class _ToLoopback(HTTPAdapter):
    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        host = request.url.split("/")[2]
        request.headers["Host"] = host
        request.url = request.url.replace(f"https://{host}", f"http://127.0.0.1:{self.port}", 1)
        return super().send(request, *args, **(kwargs | {"proxies": None}))


def session_to(port: int) -> Session:
    session = Session()
    session.mount("https://", _ToLoopback(port))
    return session


def downloader_to(port: int, timeout_s: float = 10.0, **patience: Any) -> Downloader:
    patience = {"sleep": lambda seconds: None, **patience}
    return Downloader(Line(session=session_to(port), timeout_s=(timeout_s, timeout_s)), Patience(**patience))


class Handler(BaseHTTPRequestHandler):
    """One request: `reply` sends a whole answer, or a cut one."""

    server: "Web"

    def do_GET(self) -> None:
        self.host = self.headers.get("Host", "")
        self.server.log.append(f"{self.host}{self.path}")
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):
            self.server.answer(self)

    def reply(
        self, status: int, body: bytes = b"", *, cut: int | None = None, measured: bool = True, **headers: str
    ) -> None:
        """cut: send so many bytes of the body only.  headers: `content_type=` and so on."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if measured:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.server.sent += len(body if cut is None else body[:cut])

    def page(self, html: str, status: int = 200, **headers: str) -> None:
        self.reply(status, html.encode(), content_type="text/html; charset=utf-8", **headers)

    def log_message(self, *args: Any) -> None:
        pass


class Web(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Callable[[Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.log: list[str] = []
        self.sent = 0
        """Bytes of bodies."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serving(answer: Callable[[Handler], None]) -> Iterator[Web]:
    server = Web(answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class FileAnswer:
    """Serves one file as a good server does, Range and If-Range included; `cut` bytes per answer if given."""

    data: bytes
    cut: int | None = None
    ranges: bool = True
    measured: bool = True
    headers: dict[str, str] = field(default_factory=lambda: {"etag": '"v1"'})

    def __call__(self, handler: Handler) -> None:
        asked = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        fresh = condition in (None, self.headers.get("etag"), self.headers.get("last_modified"))
        if asked and self.ranges and fresh:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.data):
                handler.reply(416)
                return
            span = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
            handler.reply(206, self.data[start:], cut=self.cut, content_range=span, **self.headers)
        else:
            handler.reply(200, self.data, cut=self.cut, measured=self.measured, **self.headers)
