"""Getting models as `upscale models pull` does, and over real TLS."""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from loopback import FileAnswer, Web, downloader_to, serving

from upscale_cli.cli.app import main
from upscale_cli.errors import ResourceError, WeightsError
from upscale_cli.services.manage_models import pull_models
from upscale_cli.weights.download import Downloader
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.store import Store

DATA = os.urandom(1 << 20)
SHA = hashlib.sha256(DATA).hexdigest()


def test_one_model_that_fails_does_not_keep_the_others_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [
        f'[models.{name}]\nmethod="x"\nscale=4\nsha256="{SHA}"\nurls=["https://{host}.example/m"]\n'
        for name, host in (("bad", "gone"), ("good", "here"))
    ]
    (tmp_path / "w.toml").write_text("".join(tables))
    monkeypatch.setenv("UPSCALE_WEIGHTS", str(tmp_path / "w.toml"))
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    seen: list[tuple[str, int, int | None]] = []

    with serving(
        lambda handler: handler.reply(404) if handler.host.startswith("gone") else FileAnswer(DATA)(handler)
    ) as web:
        store = Store(tmp_path / "cache", downloader_to(web.port))
        bad, good = pull_models(
            ["bad", "good"], offline=False, store=store, progress=lambda *report: seen.append(report)
        )
    assert bad.file is None
    assert "https://gone.example/m: HTTP 404" in bad.fault
    assert good.file is not None
    assert good.file.path.read_bytes() == DATA
    assert seen[-1] == ("good", len(DATA), len(DATA))


def test_what_is_there_is_told_where_the_disk_is_full_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [
        f'[models.{name}]\nmethod="x"\nscale=4\nsha256="{SHA}"\nurls=["https://here.example/m"]\n' for name in "ab"
    ]
    (tmp_path / "w.toml").write_text("".join(tables))
    monkeypatch.setenv("UPSCALE_WEIGHTS", str(tmp_path / "w.toml"))
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/a.weights").write_bytes(DATA)
    obtain = Store.obtain

    def full(self: Store, entry: Entry, **options: object) -> object:
        if entry.name == "b":
            raise ResourceError("disk full", "make room")
        return obtain(self, entry, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "obtain", full)
    with pytest.raises(SystemExit) as ended:
        main(["models", "pull", "a", "b", "--json"])
    assert ended.value.code == 5
    said = capsys.readouterr()
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["a"]
    assert "disk full" in said.err


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_only_a_trusted_certificate_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way over TLS, with the session that users have."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)

    def secured(web: Web) -> Entry:
        web.socket = context.wrap_socket(web.socket, server_side=True)
        urls = (f"https://localhost:{web.port}/m.pth",)
        return Entry.model_validate({"name": "m", "method": "x", "scale": 4, "urls": urls, "sha256": SHA})

    with serving(FileAnswer(DATA)) as web:
        entry = secured(web)
        with pytest.raises(WeightsError, match="certificate is not trusted"):
            Store(tmp_path / "cache", Downloader()).obtain(entry, offline=False)
        assert not web.log
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert Store(tmp_path / "cache").obtain(entry, offline=False).path.read_bytes() == DATA
