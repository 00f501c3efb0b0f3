"""The cache: what is there is right, costs no request, survives kills, crowds, full disks and planted links."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from loopback import FileAnswer, Handler, downloader_to, serving

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.weights import places
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.store import Store, offline_requested

WORKER = Path(__file__).with_name("store_worker.py")
DATA = random.Random(1).randbytes(4 << 20)
SHA = hashlib.sha256(DATA).hexdigest()


def entry(**changes: object) -> Entry:
    urls = ("https://models.example/m.pth",)
    return Entry.model_validate(
        {"name": "m", "method": "x", "scale": 4, "urls": urls, "sha256": SHA, "bytes": len(DATA)} | changes
    )


def start(root: Path, port: int, model: Entry, *wrapper: str, **more: Any) -> "subprocess.Popen[str]":
    arguments = {"port": port, "root": str(root), "entry": model.model_dump(mode="json"), **more}
    command = [*wrapper, sys.executable, str(WORKER), json.dumps(arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(worker: "subprocess.Popen[str]") -> tuple[int, dict[str, Any]]:
    out, err = worker.communicate(timeout=60)
    assert not err
    return worker.returncode, json.loads(out)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def slow(data: bytes, piece: int = 1 << 16, wait: float = 0.01) -> FileAnswer:
    """Serves `data` at some 6 MB/s."""

    class Slow(FileAnswer):
        def __call__(self, handler: Handler) -> None:
            write = handler.wfile.write

            def slowly(body: bytes) -> int:
                for start in range(0, len(body), piece):
                    write(body[start : start + piece])
                    time.sleep(wait)
                return len(body)

            handler.wfile.write = slowly
            super().__call__(handler)

    return Slow(data)


def test_a_cached_model_makes_no_request_and_writes_nothing(tmp_path: Path) -> None:
    with serving(FileAnswer(DATA)) as web:
        _, told = finish(start(tmp_path, web.port, entry(), audit=True))
        assert {"socket.connect", "open", "os.rename"} <= set(told["events"])  # what is looked for below
        asked = len(web.log)
        tmp_path.chmod(0o555)
        try:
            for offline in (False, True):
                code, told = finish(start(tmp_path, web.port, entry(), offline=offline, audit=True))
                assert (code, told["sha256"], told["events"]) == (0, SHA, [])
        finally:
            tmp_path.chmod(0o755)
    assert len(web.log) == asked == 1


def test_offline_says_which_file_to_put_where(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code, told = finish(start(cache, 9, entry(), offline=True, audit=True))
    assert code == 4
    assert told["events"] == []
    assert not cache.exists()
    for word in ("https://models.example/m.pth", str(cache / "m.weights"), SHA):
        assert word in told["error"]
    cache.mkdir()
    (cache / "m.weights").write_bytes(DATA)
    assert Store(cache).obtain(entry(), offline=True).sha256 == SHA


def test_a_cache_that_is_no_folder_is_named_with_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(WeightsError, match=r"is not a folder.*UPSCALE_CACHE"):
        Store(tmp_path / "file" / "cache", downloader_to(9)).obtain(entry(), offline=False)


def test_a_damaged_file_is_refused_offline_and_fetched_again_online(tmp_path: Path) -> None:
    damaged = bytearray(DATA)
    damaged[1000] ^= 1
    (tmp_path / "m.weights").write_bytes(damaged)
    with serving(FileAnswer(DATA)) as web:
        store = Store(tmp_path, downloader_to(web.port))
        assert store.find(entry()) is None
        with pytest.raises(WeightsError, match=rf"m\.weights: is damaged: expected sha256 {SHA}"):
            store.obtain(entry(), offline=True)
        with pytest.raises(WeightsError, match="is damaged"):
            store.verify(entry())
        assert store.obtain(entry(), offline=False).sha256 == SHA
        assert store.verify(entry()).bytes == len(DATA)


def test_without_a_published_hash_the_first_download_is_pinned(tmp_path: Path) -> None:
    model = entry(sha256=None, bytes=None)
    with serving(FileAnswer(DATA)) as web:
        store = Store(tmp_path, downloader_to(web.port))
        assert store.obtain(model, offline=False).pinned
        assert not store.obtain(model, offline=False).pinned
        (tmp_path / "m.weights").unlink()
        web.answer = FileAnswer(DATA[:-1] + b"x")
        with pytest.raises(WeightsError, match=f"pinned at the first download sha256 {SHA}.*models remove"):
            store.obtain(model, offline=False)
        web.answer = FileAnswer(DATA + b"x")
        with pytest.raises(WeightsError, match=r"expected [\d,]+ bytes, got .*models remove"):
            store.obtain(model, offline=False)
        assert names(tmp_path) == ["m.pin.json"]
        store.remove(model)
        assert store.obtain(model, offline=False).pinned


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    with serving(FileAnswer(b"")) as web, pytest.raises(WeightsError, match="sent an empty file"):
        Store(tmp_path, downloader_to(web.port)).obtain(entry(sha256=None, bytes=None), offline=False)
    assert names(tmp_path) == []


def test_somebody_unknown_s_folder_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_CACHE", "~nobody-of-this-name/cache")
    assert places.cache_folder() == Path("~nobody-of-this-name/cache")


def test_remove_takes_everything_of_one_model_only(tmp_path: Path) -> None:
    with serving(FileAnswer(DATA)) as web:
        store = Store(tmp_path, downloader_to(web.port))
        for name in ("m", "m.n", "m-2"):
            store.obtain(entry(name=name, sha256=None, bytes=None), offline=False)
    assert store.remove(entry())
    assert not store.remove(entry())
    assert names(tmp_path) == ["m-2.pin.json", "m-2.weights", "m.n.pin.json", "m.n.weights"]


def test_bundled_checkpoints_are_used_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.safetensors").write_bytes(DATA)
    monkeypatch.setattr(places, "bundled_folder", lambda: tmp_path)
    store = Store(tmp_path / "cache")
    model = entry(file="b.safetensors", urls=())
    assert store.obtain(model, offline=True).path == tmp_path / "b.safetensors"
    with pytest.raises(UsageError, match="ships with the program"):
        store.remove(model)
    (tmp_path / "b.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"b\.safetensors: is damaged"):
        store.obtain(model, offline=True)


@pytest.mark.parametrize("lock", ["flock", "none"])
def test_ten_processes_make_one_download(tmp_path: Path, lock: str) -> None:
    with serving(slow(DATA)) as web:
        workers = [start(tmp_path, web.port, entry(), lock=lock) for _ in range(10)]
        results = [finish(worker) for worker in workers]
        bodies = len(web.log)
    assert [(code, told.get("sha256")) for code, told in results] == [(0, SHA)] * 10
    assert bodies == 1 if lock == "flock" else 1 < bodies <= 10
    assert names(tmp_path) == ["m.weights"]


def test_the_next_goes_on_when_the_lock_s_holder_is_killed(tmp_path: Path) -> None:
    with serving(slow(DATA, wait=0.05)) as web:
        first = start(tmp_path, web.port, entry())
        wait_for(lambda: bool(web.log))
        second = start(tmp_path, web.port, entry())
        time.sleep(1.0)
        first.kill()
        first.communicate()
        killed = time.monotonic()
        wait_for(lambda: len(web.log) == 2)
        assert time.monotonic() - killed < 10.0
        web.answer = FileAnswer(DATA)
        assert finish(second)[0] == 0


def wait_for(happened: Any, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_killed_downloads_go_on_where_they_stopped(tmp_path: Path) -> None:
    starts: list[int] = []
    answer = slow(DATA)

    def watched(handler: Handler) -> None:
        starts.append(int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")))
        answer(handler)

    held = [0]
    with serving(watched) as web:
        for _ in range(6):
            worker, asked = start(tmp_path, web.port, entry()), len(starts)
            wait_for(lambda asked=asked: len(starts) > asked)
            time.sleep(random.uniform(0.02, 0.1))
            worker.kill()
            worker.communicate()
            parts = list(tmp_path.glob("*.part"))
            assert len(parts) == 1
            held.append(parts[0].stat().st_size)
            assert not (tmp_path / "m.weights").exists()
        code, told = finish(start(tmp_path, web.port, entry()))
    assert (code, told["sha256"]) == (0, SHA)
    assert starts == held  # every request begins where the killed one stopped: nothing was fetched twice
    assert held == sorted(held)
    assert held[-1] > 0
    assert names(tmp_path) == ["m.weights"]


@pytest.mark.parametrize("change", ["other hash", "no record", "half a record", "other address"])
def test_a_part_of_another_file_is_not_continued(tmp_path: Path, change: str) -> None:
    with serving(slow(DATA)) as web:
        worker = start(tmp_path, web.port, entry())
        wait_for(lambda: any(path.stat().st_size for path in tmp_path.glob("*.part")))
        worker.kill()
        worker.communicate()
        part = next(tmp_path.glob("*.part"))
        record = part.with_name(part.name + ".json")
        if change == "no record":
            record.unlink()
        elif change == "half a record":
            record.write_bytes(record.read_bytes()[:20])
        elif change == "other address":
            record.write_text(record.read_text().replace("models.example", "other.example"))
        data = DATA[::-1] if change == "other hash" else DATA
        model = entry(sha256=hashlib.sha256(data).hexdigest())
        web.answer = FileAnswer(data)
        sent = web.sent
        assert Store(tmp_path, downloader_to(web.port)).obtain(model, offline=False).path.read_bytes() == data
        assert web.sent - sent == len(data)
    assert names(tmp_path) == ["m.weights"]


def test_old_temporary_files_are_swept(tmp_path: Path) -> None:
    part = "n~00000000-12-0123abcd.part"
    old = [tmp_path / name for name in (part, f"{part}.json", "n.pin.json~3-0123abcd.tmp")]
    fresh = tmp_path / "n~00000000-13-0123abcd.part"
    others = [tmp_path / name for name in ("README.md~", "letter~final.odt", "x~1-ab.part")]
    for path in [*old, fresh, *others]:
        path.write_text("x")
    for path in [*old, *others]:
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    with serving(FileAnswer(DATA)) as web:
        Store(tmp_path, downloader_to(web.port)).obtain(entry(), offline=False)
    assert names(tmp_path) == sorted(["m.weights", fresh.name, *(path.name for path in others)])


def test_planted_links_do_not_lead_out_of_the_cache(tmp_path: Path) -> None:
    cache, outside = tmp_path / "cache", tmp_path / "outside"
    cache.mkdir()
    outside.write_text("precious")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    from upscale_cli.weights.part import Origin, _machine

    stem = f"m~{_machine()}-{ended.stdout.strip()}-ab.part"
    for name in ("m.weights", "m.lock", stem, "m.pin.json"):
        (cache / name).symlink_to(outside)
    os.link(outside, cache / stem.replace("-ab", "-cd"))
    record = json.dumps(vars(Origin("https://models.example/m.pth", '"v1"', SHA, len(DATA))))
    for name in (stem, stem.replace("-ab", "-cd")):
        (cache / f"{name}.json").write_text(record)
    with serving(FileAnswer(DATA)) as web:
        file = Store(cache, downloader_to(web.port)).obtain(entry(), offline=False)
    assert file.path.read_bytes() == DATA
    assert not file.path.is_symlink()
    assert outside.read_text() == "precious"


def in_small_disk(root: Path, kib: int) -> tuple[str, ...]:
    """A command prefix: runs in a mount namespace where `root` is a disk of so many KiB."""
    script = f'mount -t tmpfs -o size={kib}k none "{root}" && "$@"; code=$?; ls -A "{root}" >&2; exit $code'
    return "unshare", "-rm", "sh", "-c", script, "sh"


def can_mount(root: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*in_small_disk(root, 64), "true"], capture_output=True).returncode == 0


@pytest.mark.parametrize("known", [True, False])
def test_a_full_disk_is_final_and_clean(tmp_path: Path, known: bool) -> None:
    if not can_mount(tmp_path):
        pytest.skip("needs user namespaces to mount a small disk")

    def endless(handler: Handler) -> None:  # no length: only the write itself finds out that the disk is full
        handler.reply(200, b"%x\r\n" % len(DATA) + DATA, measured=False, transfer_encoding="chunked")

    model = entry() if known else entry(bytes=None)
    with serving(FileAnswer(DATA) if known else endless) as web:
        started = time.monotonic()
        worker = start(tmp_path, web.port, model, *in_small_disk(tmp_path, 1536))
        out, left = worker.communicate(timeout=60)
        assert time.monotonic() - started < 5.0
        assert len(web.log) == (0 if known else 1)
    assert worker.returncode == 5
    assert "are free" in out
    assert ("4,194,304 bytes are needed" in out) is known
    assert left.split() == ["m.lock"]


def test_offline_is_asked_for_by_flag_or_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, offline in {"": False, "0": False, "false": False, "No": False, "1": True, "yes": True}.items():
        monkeypatch.setenv("UPSCALE_OFFLINE", value)
        assert offline_requested(False) is offline
        assert offline_requested(True)
