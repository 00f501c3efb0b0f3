"""The downloader against a real server on loopback: only the right bytes become visible, whatever the line does."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import FileAnswer, Handler, downloader_to, serving

from upscale_cli.errors import WeightsError
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.store import Store

DATA = os.urandom(1 << 20)
SHA = hashlib.sha256(DATA).hexdigest()
URL = "https://models.example/m.pth"


def entry(**changes: object) -> Entry:
    values = {"name": "m", "method": "x", "scale": 4, "urls": (URL,), "sha256": SHA, "bytes": len(DATA)}
    return Entry.model_validate(values | changes)


def obtain(tmp_path: Path, port: int, model: Entry, **patience: object) -> Path:
    return Store(tmp_path, downloader_to(port, **patience)).obtain(model, offline=False).path


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"m.lock"}


def test_a_file_arrives_whole_with_the_umask_s_mode(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    before = os.umask(0o037)
    try:
        with serving(FileAnswer(DATA)) as web:
            store = Store(tmp_path, downloader_to(web.port))
            file = store.obtain(entry(), offline=False, progress=lambda done, total: calls.append((done, total)))
    finally:
        os.umask(before)
    assert file.path.read_bytes() == DATA
    assert (file.sha256, file.bytes, file.pinned) == (SHA, len(DATA), False)
    assert calls[-1] == (len(DATA), len(DATA))
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert left(tmp_path) == {"m.weights"}


def page(handler: Handler) -> None:
    handler.page("<!doctype html><title>Welcome to the hotel's network</title>")


def disguised_page(handler: Handler) -> None:
    handler.reply(200, b" \n<!DOCTYPE html><title>Log in</title>" + bytes(len(DATA)), content_type="application/zip")


def wrong_content(handler: Handler) -> None:
    handler.reply(200, DATA[::-1])


def zipped(handler: Handler) -> None:
    handler.reply(200, DATA, content_encoding="gzip")


@pytest.mark.parametrize(
    ("answer", "changes", "words"),
    [
        (wrong_content, {}, [SHA, hashlib.sha256(DATA[::-1]).hexdigest(), URL]),
        (FileAnswer(DATA[:-1]), {}, ["1,048,576", "1,048,575", URL]),
        (FileAnswer(DATA + b"x"), {}, ["1,048,576", "1,048,577"]),
        (FileAnswer(DATA + b"x", measured=False), {}, ["more than 1,048,576"]),
        (page, {}, ["Welcome to the hotel's network", "web page"]),
        (disguised_page, {"bytes": None}, ["web page"]),
        (disguised_page, {"bytes": None, "sha256": None}, ["web page"]),
        (zipped, {}, ["gzip"]),
        (FileAnswer(DATA, measured=False), {"sha256": None, "bytes": None}, ["does not say how long"]),
        (lambda handler: handler.reply(404), {}, ["HTTP 404"]),
    ],
)
def test_wrong_bytes_never_appear(
    tmp_path: Path, answer: Callable[[Handler], None], changes: dict[str, object], words: list[str]
) -> None:
    seen, stop = [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.001):
            seen.extend([1] * (tmp_path / "m.weights").exists())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with serving(answer) as web, pytest.raises(WeightsError) as caught:
            obtain(tmp_path, web.port, entry(**changes))
    finally:
        stop.set()
        watcher.join()
    assert not seen
    assert left(tmp_path) == set()
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", ["measured", "chunked", "unmeasured"])
@pytest.mark.parametrize("known", [True, False])
def test_a_cut_body_is_no_file(tmp_path: Path, length: str, known: bool) -> None:
    def answer(handler: Handler) -> None:
        cut = int.from_bytes(os.urandom(2)) * 16
        if length == "chunked":
            handler.reply(200, b"%x\r\n" % len(DATA) + DATA, cut=cut + 8, measured=False, transfer_encoding="chunked")
        else:
            handler.reply(200, DATA, cut=cut, measured=length == "measured")

    model = entry() if known else entry(sha256=None, bytes=None)
    for _ in range(5):
        with serving(answer) as web, pytest.raises(WeightsError):
            obtain(tmp_path, web.port, model)
        assert not (tmp_path / "m.weights").exists()


def test_chunked_bodies_are_whole_when_the_last_chunk_came(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        body = b"%x\r\n" % len(DATA) + DATA + b"\r\n0\r\n\r\n"
        handler.reply(200, body, measured=False, transfer_encoding="chunked")

    with serving(answer) as web:
        assert obtain(tmp_path, web.port, entry(sha256=None, bytes=None)).read_bytes() == DATA


@pytest.mark.parametrize("headers", [{"etag": '"v1"'}, {"last_modified": "Sat, 01 Jan 2022 00:00:00 GMT"}, {}])
@pytest.mark.parametrize("known", [True, False])
def test_a_bad_line_still_ends_in_the_file(tmp_path: Path, headers: dict[str, str], known: bool) -> None:
    data = os.urandom(6 << 20)
    cut = 1 << 18
    digest = hashlib.sha256(data).hexdigest()
    model = entry(sha256=digest, bytes=len(data)) if known else entry(sha256=None, bytes=None)
    waits: list[float] = []
    with serving(FileAnswer(data, cut=cut, headers=headers)) as web:
        path = obtain(tmp_path, web.port, model, sleep=waits.append)
        assert path.read_bytes() == data
        unsure = not known and not headers  # then 64 KiB are fetched again and compared, each time
        assert len(web.log) <= len(data) / (cut - (65536 if unsure else 0)) + 1
        assert web.sent <= len(data) * (1.34 if unsure else 1.0)
    assert not any(waits)  # a line that still brings bytes is asked again at once
    assert left(tmp_path) <= {"m.weights", "m.pin.json"}


def test_it_gives_up_after_five_tries_without_a_byte(tmp_path: Path) -> None:
    waits: list[float] = []
    with (
        serving(lambda handler: handler.reply(503)) as web,
        pytest.raises(WeightsError, match="5 tries in vain: HTTP 503"),
    ):
        obtain(tmp_path, web.port, entry(), sleep=waits.append)
    assert len(web.log) == 5
    assert waits == sorted(waits)
    assert waits[0] > 0


class Faulty:
    """Gives 300,000 bytes, then answers the request for the rest wrongly; a request without Range gets the file."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.asked = 0

    def __call__(self, handler: Handler) -> None:
        self.asked += 1
        if self.asked == 1:
            handler.reply(200, DATA, cut=300_000, etag='"v1"')
        elif "Range" not in handler.headers or self.fault == "200":
            handler.reply(200, DATA, etag='"v1"')
        else:
            self.wrong(handler, int(handler.headers["Range"].removeprefix("bytes=").rstrip("-")))

    def wrong(self, handler: Handler, start: int) -> None:
        size, rest, tag = len(DATA), DATA[start:], {"etag": '"v1"'}
        span = f"bytes {start}-{size - 1}/{size}"
        if self.fault == "start":
            handler.reply(206, DATA[start - 9 :], content_range=f"bytes {start - 9}-{size - 1}/{size}", **tag)
        elif self.fault == "total":
            handler.reply(206, rest, content_range=f"bytes {start}-{size}/{size + 1}", **tag)
        elif self.fault == "etag":
            handler.reply(206, os.urandom(len(rest)), content_range=span, etag='"v2"')
        elif self.fault == "416":
            handler.reply(416)
        elif self.fault == "gzip":
            handler.reply(206, rest, content_range=span, content_encoding="gzip", **tag)
        elif self.fault == "extra":
            handler.reply(206, rest + b"more", measured=False, content_range=span, **tag)
        elif self.fault == "silent splice":  # nothing tells but the hash
            handler.reply(206, os.urandom(len(rest)), content_range=span, **tag)
        elif self.fault == "no range":
            handler.reply(206, rest, **tag)
        elif self.fault == "page":
            handler.page("<html>sorry</html>")


FAULTS = ["200", "start", "total", "etag", "416", "gzip", "extra", "no range", "page"]


@pytest.mark.parametrize(
    ("fault", "known"),
    # a server that lies about its ETag is found out by the hash alone
    [("silent splice", True), *((fault, known) for fault in FAULTS for known in (True, False))],
)
def test_two_files_are_never_spliced(tmp_path: Path, fault: str, known: bool) -> None:
    model = entry() if known else entry(sha256=None, bytes=None)
    with serving(Faulty(fault)) as web:
        if fault == "page":
            with pytest.raises(WeightsError, match="web page"):
                obtain(tmp_path, web.port, model)
            assert not (tmp_path / "m.weights").exists()
        else:
            assert obtain(tmp_path, web.port, model).read_bytes() == DATA


def test_without_validator_and_hash_a_changed_file_is_noticed_by_its_bytes(tmp_path: Path) -> None:
    other = os.urandom(len(DATA))
    asked: list[int] = []

    def answer(handler: Handler) -> None:
        asked.append(1)
        FileAnswer(DATA if len(asked) == 1 else other, cut=300_000 if len(asked) == 1 else None, headers={})(handler)

    with serving(answer) as web:
        assert obtain(tmp_path, web.port, entry(sha256=None, bytes=None)).read_bytes() == other


@pytest.mark.parametrize(
    "target",
    [
        "http://models.example/m.pth",
        "https://evil.example/m.pth",
        "https://models.example:8443/m.pth",
        "https://models.example@evil.example/m.pth",
        "file:///etc/passwd",
        "//evil.example/m.pth",
        "https://[::1/m.pth",
        "https://models.example:99999999/",
        "ftp://models.example/m.pth",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(tmp_path: Path, target: str) -> None:
    with serving(lambda handler: handler.reply(302, location=target)) as web, pytest.raises(WeightsError):
        obtain(tmp_path, web.port, entry())
    assert web.log == ["models.example/m.pth"]


def test_redirects_within_the_source_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        if handler.path == "/m.pth":
            handler.reply(301, location="/moved")
        elif handler.path == "/moved":
            FileAnswer(DATA)(handler)
        else:
            handler.reply(302, location=handler.path + "x")

    with serving(answer) as web:
        assert obtain(tmp_path, web.port, entry()).read_bytes() == DATA
    with serving(answer) as web, pytest.raises(WeightsError, match="redirects more than 5 times"):
        obtain(tmp_path / "other", web.port, entry(urls=("https://models.example/loop",)))
    assert len(web.log) == 6


def test_known_sources_may_hand_over_to_their_own_hosts(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        if handler.host == "github.com":
            handler.reply(302, location="https://release-assets.githubusercontent.com/m.pth")
        else:
            FileAnswer(DATA)(handler)

    with serving(answer) as web:
        model = entry(urls=("https://github.com/a/b/releases/download/v1/m.pth",))
        assert obtain(tmp_path, web.port, model).read_bytes() == DATA


def test_addresses_are_tried_in_order_and_each_failure_is_named(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        FileAnswer(DATA)(handler) if handler.host == "good.example" else wrong_content(handler)

    first, gone = "https://first.example/m", "https://first.example/n"
    with serving(answer) as web:
        assert obtain(tmp_path, web.port, entry(urls=(first, "https://good.example/m"))).read_bytes() == DATA
        with pytest.raises(WeightsError) as caught:
            obtain(tmp_path / "other", web.port, entry(urls=(first, gone)))
    assert first in str(caught.value)
    assert gone in str(caught.value)


def test_a_silent_server_ends(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    started = time.monotonic()
    # a twentieth of the real times: 0.5 s for the next byte, 2.2 s in all
    downloader = downloader_to(listener.getsockname()[1], timeout_s=0.5, silence_s=2.2)
    with pytest.raises(WeightsError, match="fell silent"):
        Store(tmp_path, downloader).obtain(entry(), offline=False)
    assert time.monotonic() - started < 3.0
    listener.close()


def test_a_trickle_ends(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        for value in DATA:
            handler.wfile.write(bytes([value]))
            handler.wfile.flush()
            time.sleep(0.02)

    started = time.monotonic()
    with serving(answer) as web, pytest.raises(WeightsError, match="too slow"):
        obtain(tmp_path, web.port, entry(), rate_s=1.0)
    assert time.monotonic() - started < 4.0


def test_no_network_is_a_sentence(tmp_path: Path) -> None:
    with serving(lambda handler: None) as web:
        closed = web.port
    with pytest.raises(WeightsError, match="Connection refused") as caught:
        obtain(tmp_path, closed, entry())
    assert len(str(caught.value)) < 300
