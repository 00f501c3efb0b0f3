"""Google Drive's way to a file: a redirect, for large files a form about viruses, and pages where it refuses.

A response is the file if and only if it carries a Content-Disposition; everything else is a page, and a page never
becomes a checkpoint. Hidden inputs of the form are all sent back, as they were given.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import requests

from upscale_cli.weights import web

_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_ORIGIN = "https://drive.google.com/"
_ID = re.compile(r"[A-Za-z0-9_-]+")
_WORDS = 240


def file_id(url: str) -> str | None:
    """The id in `gdrive:<id>` or in one of Drive's addresses for a file; None for addresses elsewhere.

    Raises RefusedError for a folder's address, or one without an id.
    """
    if url.startswith("gdrive:"):
        return url.removeprefix("gdrive:")
    parts = urlsplit(url)
    if parts.hostname not in _HOSTS:
        return None
    if "/folders/" in parts.path:
        raise web.RefusedError("is a Google Drive folder", "give the address of the file in it")
    in_path = re.search(r"/file/(?:u/\d+/)?d/([A-Za-z0-9_-]+)", parts.path)
    identity = in_path.group(1) if in_path else parse_qs(parts.query).get("id", [""])[0]
    if not _ID.fullmatch(identity):
        raise web.RefusedError("holds no Google Drive file id", "use gdrive:<file id>")
    return identity


@dataclass
class Page:
    """What matters of one of Drive's pages.  inputs: the hidden inputs of the download form, in the page's order."""

    title: str = ""
    caption: str = ""
    text: str = ""
    action: str | None = None
    method: str = "get"
    inputs: list[tuple[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def words(self) -> str:
        """What the page says to a person, in one line."""
        parts = [part for part in (self.title, self.caption or self.text) if part]
        return " - ".join(parts)[:_WORDS] or "an empty page"


class _PageParser(HTMLParser):
    _TEXTS = ("title", "script", "style", "p")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._kind = "text"
        self._form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag in self._TEXTS:
            self._kind = "caption" if "uc-error" in given.get("class", "") else tag
        elif tag == "form" and given.get("id") in ("download-form", "downloadForm"):
            self._form = True
            self.page.action = given.get("action", "")
            self.page.method = given.get("method", "get").lower()
        elif tag == "input" and self._form and given.get("name") and given.get("type", "hidden") == "hidden":
            self.page.inputs.append((given["name"], given.get("value", "")))
        elif tag == "a" and given.get("href"):
            self.page.links.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = False
        elif tag in self._TEXTS:
            self._kind = "text"

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if not words or self._kind in ("script", "style"):
            return
        name = self._kind if self._kind in ("title", "caption") else "text"
        setattr(self.page, name, f"{getattr(self.page, name)} {words}".strip())


def parse_page(html: str) -> Page:
    """The page's title, words, download form and links."""
    parser = _PageParser()
    parser.feed(html)
    parser.close()
    return parser.page


def next_address(html: str, url: str) -> str:
    """The address that the page at `url` leads on to.  Raises RefusedError, with its words, where it does not."""
    page = parse_page(html)
    if re.search(r"infected with a virus|download infected file", f"{page.caption} {page.text}", re.IGNORECASE):
        raise web.RefusedError(f"Google Drive says: {page.words()}")
    if page.action is not None and page.method == "get":
        action = urlsplit(web.join(url, page.action))
        return action._replace(query=urlencode(parse_qsl(action.query, keep_blank_values=True) + page.inputs)).geturl()
    link = next((link for link in page.links if "confirm=" in link and "export=download" in link), None)
    if link is not None:
        return web.join(url, link)
    quoted = re.search(r'"downloadUrl"\s*:\s*("(?:[^"\\]|\\.){1,4000}")', html)
    if quoted is not None:
        with suppress(ValueError):  # not the JSON it looked like: the page's words say more
            return web.join(url, str(json.loads(quoted.group(1))))
    raise web.RefusedError(f"Google Drive says: {page.words()}")


def is_file(response: requests.Response) -> bool:
    """Is this the file itself? Content-Disposition is the only reliable mark; only a part of it may lack that."""
    if response.status_code == 206:
        return "html" not in response.headers.get("content-type", "")
    return response.status_code == 200 and "content-disposition" in response.headers


class DriveSource:
    """A file on Google Drive, known by its id."""

    def __init__(self, line: web.Line, identity: str) -> None:
        self._line = line
        self._first = f"https://drive.google.com/uc?{urlencode({'id': identity, 'export': 'download'})}"
        self._file: str | None = None

    def open(self, headers: Mapping[str, str]) -> requests.Response:
        """The file's response to a GET with `headers` (a Range, or none).  Raises RefusedError or BrokenLineError."""
        if self._file is None:
            address, response = self._walk()
            if not headers:
                self._file = address
                return response
            response.close()  # it begins at 0; the rest is asked for at the address just found
        else:
            address = self._file
        self._file = None  # such an address lives for a while only: unless it answers, walk again next time
        _, response = self._get(address, headers)
        if is_file(response) or response.status_code == 416:
            self._file = address
            return response
        self._lead(address, response)
        raise web.BrokenLineError("the file's address stopped answering")

    def _walk(self) -> tuple[str, requests.Response]:
        """(the file's own address, its response), through as many pages as it takes, within reason."""
        url = self._first
        for _ in range(web.MAX_HOPS):
            url, response = self._get(url, {})
            if is_file(response):
                return url, response
            url = self._lead(url, response)
        raise web.RefusedError(
            f"Google Drive asks for a confirmation again and again; stopped after {web.MAX_HOPS} pages"
        )

    def _get(self, url: str, headers: Mapping[str, str]) -> tuple[str, requests.Response]:
        try:
            return web.get(self._line, url, _ORIGIN, headers)
        except web.ElsewhereError as away:
            if urlsplit(away.url).hostname == "accounts.google.com":
                raise web.RefusedError('Google Drive says: "Sign in": the file is private') from away
            raise

    def _lead(self, url: str, response: requests.Response) -> str:
        """The address that a page leads on to.  Raises RefusedError or BrokenLineError with its words."""
        with response:
            html = web.read_page(response)
        try:
            web.check_status(response)
        except web.RefusedError as refused:
            raise web.RefusedError(f"{refused.message}: Google Drive says: {parse_page(html).words()}") from None
        except web.BrokenLineError as later:
            raise web.BrokenLineError(f"{later}: Google Drive says: {parse_page(html).words()}", later.wait) from None
        return next_address(html, url)
