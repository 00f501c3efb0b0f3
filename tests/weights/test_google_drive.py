"""Google Drive as it answers today, played on loopback: files arrive, refusals become sentences, pages never files."""

import hashlib
import html
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import FileAnswer, Handler, Web, downloader_to, serving

from upscale_cli.errors import WeightsError
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.google_drive import file_id
from upscale_cli.weights.store import Store, StoredFile
from upscale_cli.weights.web import RefusedError

ID = "1-N05dWhnA6om16D1VoPASGB9MiTMjdgB"
DATA = os.urandom(3 << 20)
SHA = hashlib.sha256(DATA).hexdigest()
FILE_HOST = "drive.usercontent.google.com"


def form(action: str = f"https://{FILE_HOST}/download", text: str = "", inputs: dict[str, str] | None = None) -> str:
    fields = {"id": ID, "export": "download", "confirm": "t", "uuid": "a&b=1/2"} | (inputs or {})
    rows = "".join(
        f'<input value="{html.escape(value)}" type="hidden" name="{name}">' for name, value in fields.items()
    )
    return (
        "<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title><style>p{}</style></head><body>"
        f'<p class="uc-warning-caption">{text or "Google Drive cannot scan this file for viruses."}</p>'
        f'<form id="download-form" action="{action}" method="get"><input type="submit" value="Download anyway"/>'
        f'{rows}<input type="hidden" value="nameless"></form></body></html>'
    )


QUOTA = (
    "<html><head><title>Google Drive - Quota exceeded</title></head><body>"
    "<p class=uc-error-caption>Sorry, you can&#39;t view or download this file at this time."
    "<p class=uc-error-subcaption>Too many users have viewed or downloaded this file recently.</p></body></html>"
)


class Drive:
    """drive.google.com and its file host.  large: the form comes first, and all its inputs must come back."""

    def __init__(self, *, large: bool = False, inputs: dict[str, str] | None = None, **answer: object) -> None:
        self.large = large
        self.inputs = inputs or {}
        disposition = "attachment; filename=\"m.pth\"; filename*=UTF-8''m.pth"
        headers = {"content_disposition": disposition, "last_modified": "Sat, 01 Jan 2022 00:00:00 GMT"}
        self.file = FileAnswer(DATA, headers=headers, **answer)  # type: ignore[arg-type]

    def __call__(self, handler: Handler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        if query.get("id") != [ID]:
            handler.page("<title>Not found</title>", 404)
        elif handler.host == "drive.google.com":
            target = f"https://{FILE_HOST}/download?id={ID}&export=download"
            handler.reply(
                303, content_type="application/binary", location=target, set_cookie="NID=1; Domain=.google.com"
            )
        elif handler.host == FILE_HOST and self.large and "confirm" not in query:
            handler.page(form(inputs=self.inputs))
        elif handler.host == FILE_HOST and (not self.large or self.confirmed(query)):
            self.send(handler)
        else:
            handler.page(form(inputs=self.inputs))

    def confirmed(self, query: dict[str, list[str]]) -> bool:
        want = {"confirm": ["t"], "uuid": ["a&b=1/2"], "export": ["download"]}
        return {key: query.get(key) for key in want | self.inputs} == want | {k: [v] for k, v in self.inputs.items()}

    def send(self, handler: Handler) -> None:
        self.file(handler)


class Expiring(Drive):
    """The file's address answers once; then it shows the form again until that is sent anew."""

    asked = 0

    def __call__(self, handler: Handler) -> None:
        if handler.host == FILE_HOST and "confirm" in handler.path and "Range" in handler.headers:
            self.asked += 1
            if self.asked % 2:
                handler.page(form())
                return
        super().__call__(handler)


def legacy(handler: Handler) -> None:
    if handler.host != "drive.google.com":
        handler.page("no", 404)
    elif "confirm=Ab_1" in handler.path and "download_warning_1=Ab_1" in handler.headers.get("Cookie", ""):
        Drive().send(handler)
    else:
        link = f'<a id="uc-download-link" href="/uc?export=download&amp;confirm=Ab_1&amp;id={ID}">Download anyway</a>'
        handler.page(f"<title>Virus scan warning</title>{link}", set_cookie="download_warning_1=Ab_1; Path=/")


def script(handler: Handler) -> None:
    if "sig" in handler.path:
        Drive().send(handler)
    else:
        address = f"https:\\/\\/{FILE_HOST}\\/download?id\\u003d{ID}\\u0026sig\\u003d1"
        handler.page(f'<script>x = {{"downloadUrl":"{address}"}}</script>')


def evil_name() -> Drive:
    drive = Drive()
    drive.file.headers["content_disposition"] = "attachment; filename=\"../../../../.bashrc\"; filename*=UTF-8''..%2Fx"
    return drive


def obtain(folder: Path, web: Web, *, known: bool = False) -> StoredFile:
    identity = {"sha256": SHA, "bytes": len(DATA)} if known else {}
    entry = Entry.model_validate({"name": "m", "method": "x", "scale": 4, "urls": (f"gdrive:{ID}",), **identity})
    return Store(folder, downloader_to(web.port)).obtain(entry, offline=False)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "scenario",
    [
        Drive(),
        Drive(large=True),
        Drive(large=True, inputs={"authuser": "0", "at": "AB:cd/=="}),
        legacy,
        script,
        Drive(large=True, cut=1 << 20),
        Expiring(large=True, cut=1 << 20),
        evil_name(),
    ],
    ids=["small", "large", "large_at", "legacy", "script", "cut", "expiring", "evilname"],
)
def test_files_arrive(tmp_path: Path, scenario: Callable[[Handler], None], known: bool) -> None:
    folder = tmp_path / "a" / "b" / "cache"
    with serving(scenario) as web:
        file = obtain(folder, web, known=known)
    assert file.path.read_bytes() == DATA
    assert file.sha256 == SHA
    assert file.pinned is not known
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"m.weights", "m.pin.json", "m.lock"}


def test_a_server_that_cuts_and_cannot_go_on_is_given_up(tmp_path: Path) -> None:
    with serving(Drive(cut=1 << 20, ranges=False)) as web:
        with pytest.raises(WeightsError, match="closed the line in the middle"):
            obtain(tmp_path, web)
        assert web.sent == 6 << 20  # the first, then five in vain


def test_cut_files_are_not_fetched_twice(tmp_path: Path) -> None:
    with serving(Drive(large=True, cut=1 << 20)) as web:
        obtain(tmp_path, web)
        assert web.sent < 1.02 * len(DATA)


class QuotaInTheMiddle(Drive):
    def send(self, handler: Handler) -> None:
        if "Range" in handler.headers:
            handler.page(QUOTA)
        else:
            self.file.cut = 1 << 20
            self.file(handler)


INFECTED = form(text="m.pth (3M) is infected with a virus. Only the owner may download infected files.")
SIGN_IN = "https://accounts.google.com/ServiceLogin?continue=https://drive.google.com/uc"
SCENARIOS: dict[str, tuple[Callable[[Handler], None], str, int]] = {
    # how Drive answers, what must be told, how many requests may be made
    "quota": (lambda handler: handler.page(QUOTA), "Quota exceeded - Sorry, you can't view.*Too many users", 1),
    "quota_403": (lambda handler: handler.page(QUOTA, 403), "HTTP 403.*Quota exceeded.*Too many users", 1),
    "quota_mid": (QuotaInTheMiddle(large=True), "Too many users have viewed", 4),
    "private": (lambda handler: handler.reply(302, location=SIGN_IN), "Sign in.*private", 1),
    "missing": (lambda handler: handler.page("<title>404</title><p>No such file.", 404), "HTTP 404.*No such file", 1),
    "rate429": (lambda handler: handler.page("<title>429</title>Slow down!", 429), "HTTP 429.*Slow down!", 5),
    "infected": (lambda handler: handler.page(INFECTED), "is infected with a virus", 1),
    "evilform": (lambda handler: handler.page(form("https://evil.example/x")), "evil.example", 1),
    "evilform_http": (lambda handler: handler.page(form(f"http://{FILE_HOST}/x")), "http://drive", 1),
    "evilform_broken": (lambda handler: handler.page(form("https://[::1")), "no address", 1),
    "loop": (lambda handler: handler.page(form()), "again and again", 5),
    "not_a_page": (lambda handler: handler.reply(200, DATA[:1000]), "Google Drive says", 1),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_refusals_become_sentences(tmp_path: Path, name: str) -> None:
    answer, words, most = SCENARIOS[name]
    for known in (True, False):
        folder = tmp_path / str(known)
        with serving(answer) as web:
            with pytest.raises(WeightsError, match=words) as caught:
                obtain(folder, web, known=known)
            assert len(web.log) <= most
        assert not [line for line in web.log if "evil" in line or "accounts" in line]
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600
        left = {path.name for path in folder.iterdir() if not path.name.endswith(".json")} - {"m.lock"}
        assert all(path.endswith(".part") for path in left)
        assert bool(left) is (known and name == "quota_mid")  # what came is kept only where a hash will check the whole


def test_addresses_of_files_are_understood() -> None:
    for url in (
        f"gdrive:{ID}",
        f"https://drive.google.com/file/d/{ID}/view?usp=sharing",
        f"https://drive.google.com/file/u/0/d/{ID}/",
        f"https://drive.google.com/open?id={ID}",
        f"https://drive.google.com/uc?id={ID}",
        f"https://docs.google.com/uc?export=download&id={ID}",
    ):
        assert file_id(url) == ID
    assert file_id("https://example.org/file/d/abc/view") is None
    with pytest.raises(RefusedError, match="folder"):
        file_id("https://drive.google.com/drive/folders/1abc")
    with pytest.raises(RefusedError, match="no Google Drive file id"):
        file_id("https://drive.google.com/uc?id=../x")
