"""A file appears whole or not at all: real kills, a really full disk, the order of the system calls."""

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from picture_files import photo

from upscale_cli.errors import PictureError, ResourceError
from upscale_cli.imaging import atomic
from upscale_cli.imaging.files import Picture, read_picture, sweep_temporaries, write_picture

NOISE = np.random.default_rng(3).integers(0, 256, (900, 900, 3), np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_the_usual_rights(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_picture(Picture(photo()), tmp_path / "a.png", "PNG")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, ValueError])
def test_whatever_is_raised_the_old_file_stays_and_nothing_else(raised: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic.whole_file(target, 10) as stream:
            stream.write(b"half")
            raise raised

    with pytest.raises(raised):
        write_half()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


def test_what_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        calls.append("fsync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "fsync file")
        sync(handle)

    def replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_picture(Picture(photo()), tmp_path / "a.png", "PNG")
    assert calls == ["fsync file", "rename", "fsync folder"]


@pytest.mark.parametrize("fault", [errno.EINVAL, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_synced_fails_no_picture_but_a_broken_disk_does(
    fault: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(fault, os.strerror(fault))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with nullcontext() if fault != errno.EIO else pytest.raises(PictureError, match="Input/output error"):
        write_picture(Picture(photo()), tmp_path / "a.png", "PNG")
    assert (read_picture(tmp_path / "a.png").pixels == photo()).all()


def test_a_folder_that_may_not_be_opened_takes_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refusing(path: Path, flags: int, *rest: int, **named: int) -> int:
        if path == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refusing)
    write_picture(Picture(photo()), tmp_path / "a.png", "PNG")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("where", ["absent/a.png", "file/a.png", "folder"])
def test_a_target_that_cannot_be_is_named(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(PictureError, match="cannot be written") as caught:
        write_picture(Picture(photo()), tmp_path / where, "PNG")
    assert str(tmp_path / where) in caught.value.message
    assert names(tmp_path) == ["file", "folder"]


def test_a_long_name_is_no_hindrance(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".png")
    write_picture(Picture(photo()), target, "PNG")
    assert target.is_file()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "PPM", "JPEG", "WEBP", "AVIF"])
def test_a_full_disk_leaves_nothing_and_says_so(file_format: str, small_disk: Path) -> None:
    (small_disk / "other").write_bytes(bytes(1_200_000))
    with pytest.raises(ResourceError, match=r"no space left: up to 2.3 MiB needed, 0\.[1-4] MiB free"):
        write_picture(Picture(NOISE), small_disk / "a", file_format, quality=90)
    assert names(small_disk) == ["other"]


def test_the_free_space_is_what_there_is_once_the_half_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "free_bytes", lambda folder: 2**20 * (5 - len(names(folder))))
    with pytest.raises(ResourceError, match=r"5\.0 MiB free"), atomic.whole_file(tmp_path / "a", 10):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_too_large_for_the_account_is_a_resource_error(tmp_path: Path) -> None:
    program = """
        import resource, signal, sys
        from pathlib import Path
        import numpy as np
        from upscale_cli.errors import ResourceError
        from upscale_cli.imaging.files import Picture, write_picture
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        noise = np.random.default_rng(3).integers(0, 256, (400, 400, 3), np.uint8)
        for kind in ("PNG", "TIFF", "BMP", "JPEG"):
            try:
                write_picture(Picture(noise), Path(sys.argv[1]) / "a", kind, quality=100 if kind == "JPEG" else None)
                sys.exit(f"{kind} was written")
            except ResourceError:
                pass
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == []


WRITER = """
    import sys
    from pathlib import Path
    import numpy as np
    from upscale_cli.imaging.files import Picture, sweep_temporaries, write_picture
    folder = Path(sys.argv[1])
    sweep_temporaries(folder)
    noise = np.random.default_rng(3).integers(0, 256, (500, 500, 3), np.uint8)
    print("ready", flush=True)
    number = 0
    while True:
        kind, suffix = [("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp"), ("JPEG", "jpg")][number % 4]
        write_picture(Picture(noise), folder / f"{number % 8}.{suffix}", kind)
        number += 1
"""


def test_kill_9_leaves_no_half_picture(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(6):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0.02, 0.5))
            writer.send_signal(signal.SIGKILL)
        left = [name for name in names(tmp_path) if name.startswith(".")]
        assert len(left) <= 1, "the run before has swept"
        for path in tmp_path.iterdir():
            if not path.name.startswith("."):
                assert read_picture(path).pixels.shape == (500, 500, 3)
    sweep_temporaries(tmp_path)
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_sweeping_spares_what_others_write(tmp_path: Path) -> None:
    host = atomic._HOST
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    swept = [f".upscale-{host}-{gone.pid}-00000000.tmp", f".upscale-{host}-{os.getpid()}-00000001.tmp"]
    alive = f".upscale-{host}-{os.getppid()}-00000002.tmp"
    kept = [alive, ".upscale-ffffffff-1-00000000.tmp", ".hidden", "a.tmp", ".upscale-notes.txt"]
    for name in (*swept, *kept):
        (tmp_path / name).write_bytes(b"x")
    with atomic.whole_file(tmp_path / "b", 1) as stream:
        stream.write(b"b")
        assert sweep_temporaries(tmp_path) == 2
    assert set(names(tmp_path)) == {*kept, "b"}
    os.utime(tmp_path / alive, (0, 0))
    assert sweep_temporaries(tmp_path) == 1, "older than any write: its process number serves another by now"
    assert sweep_temporaries(tmp_path / "absent") == 0
