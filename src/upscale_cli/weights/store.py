"""The cache of checkpoints: whatever it hands out has the right length and sha256.

File names come from the catalogue alone: `<model>.weights`, `<model>.pin.json` (length and sha256 of the first
download, where the publisher gave none), `<model>.entry.json` (an import), `<model>.lock`; `<model>~...` are temporary.
A checkpoint that is there is used without any request, and without writing anything.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from upscale_cli.disk import free_bytes, publish
from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.weights import places
from upscale_cli.weights.atomic import ANOTHER_CACHE, disk_errors, disk_full, write_whole
from upscale_cli.weights.catalogue import IMPORTED_SUFFIX
from upscale_cli.weights.entry import Checkpoint, Entry
from upscale_cli.weights.part import Part, Progress, Want, claim, discard, hash_file, parts, sweep


class Fetcher(Protocol):
    """What a Store downloads with; `download.Downloader` is one."""

    def fetch(self, urls: Sequence[str], want: Want, part: Part, progress: Progress | None = None) -> str:
        """Fill `part` from one of `urls` and return its sha256."""


@dataclass(frozen=True)
class StoredFile:
    """A checkpoint on this machine.  bytes: its length.

    pinned: its sha256 was taken on trust just now, because its publisher gave none; from now on it must stay the same.
    """

    path: Path
    sha256: str
    bytes: int
    pinned: bool = False


def offline_requested(flag: bool) -> bool:
    """Was `--offline` given, or UPSCALE_OFFLINE set to something other than 0, false, no or nothing?"""
    return flag or os.environ.get("UPSCALE_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def how_to_get(entry: Checkpoint) -> str:
    """What to do for a checkpoint that is absent or damaged."""
    return (
        f"upscale models pull {entry.name}"
        if entry.urls
        else f"upscale models remove {entry.name}, then import it again"
    )


class Store:
    """The cache folder `root` (default: UPSCALE_CACHE, or the user's cache folder), and the bundled checkpoints."""

    def __init__(self, root: Path | None = None, fetcher: Fetcher | None = None) -> None:
        self.root = root if root is not None else places.cache_folder()
        self._fetcher = fetcher

    def path(self, entry: Checkpoint) -> Path:
        """Where the checkpoint lies in the cache, or would lie."""
        return self.root / f"{entry.name}.weights"

    def location(self, entry: Checkpoint) -> Path | None:
        """Where the checkpoint is, bundled or cached; None if it is not here. Does not check its content."""
        return next((path for path in self._places(entry) if path.is_file()), None)

    def find(self, entry: Checkpoint) -> StoredFile | None:
        """The checkpoint if it is here and right, else None."""
        return self._look(entry)[0]

    def verify(self, entry: Checkpoint) -> StoredFile:
        """The checkpoint, hashed anew.  Raises WeightsError where it is absent or not what it should be."""
        found, fault = self._look(entry)
        if found is None:
            raise WeightsError(fault or f"{entry.name}: is not on this machine", how_to_get(entry))
        return found

    def obtain(self, entry: Checkpoint, *, offline: bool, progress: Progress | None = None) -> StoredFile:
        """The checkpoint, downloaded if need be; a damaged one is fetched again.  progress(bytes done, of how many).

        Raises WeightsError where it cannot be had or trusted, ResourceError where the disk is full.
        """
        found, fault = self._look(entry)
        if found is not None:
            return found
        if offline or not entry.urls:
            raise self._absent(entry, fault, offline)
        with disk_errors(self.root, entry.bytes):
            self.root.mkdir(parents=True, exist_ok=True)
            with self._locked(entry):
                return self.find(entry) or self._download(entry, progress)  # perhaps another process was quicker

    def adopt(self, entry: Checkpoint, source: Path) -> StoredFile:
        """Take a copy of the file `source` as the checkpoint.  Raises WeightsError where it is not the right one."""
        with disk_errors(self.root, source.stat().st_size):
            self.root.mkdir(parents=True, exist_ok=True)
            with self._locked(entry), claim(self.root, entry.name, None) as copy:
                with source.open("rb") as file:
                    while piece := file.read(1 << 20):
                        copy.append(piece)
                want = self._want(entry)
                if not want.accepts(copy.sha256()):
                    raise WeightsError(f"{source}: {want}, got {copy.sha256()}")
                return self._publish(entry, copy, copy.sha256())

    def reserve(self, name: str) -> Path:
        """Where to put the checkpoint of a model of the user's own, before `register`; the folder is there."""
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        return self.root / f"{name}.weights"

    def register(self, name: str, about: Mapping[str, Any]) -> Entry:
        """Record that the checkpoint put where `reserve` said is model `name`; catalogues list it from now on.

        about: the entry's other keys (method, scale, options ...).
        """
        with disk_errors(self.root):
            digest, size = hash_file(self.root / f"{name}.weights")
            entry = Entry.model_validate({**about, "name": name, "sha256": digest, "bytes": size})
            write_whole(self._beside(entry, IMPORTED_SUFFIX), entry.model_dump_json(indent=1).encode())
        return entry

    def remove(self, entry: Checkpoint) -> bool:
        """Delete the cached checkpoint and what is recorded of it; False if there was nothing.

        Raises UsageError for one that ships with the program.
        """
        if entry.file is not None and (places.bundled_folder() / entry.file).exists():
            raise UsageError(f"{entry.name}: ships with the program and cannot be removed")
        return self.forget(entry.name)

    def forget(self, name: str) -> bool:
        """`remove`, for a model of which no more than its name is known."""
        with disk_errors(self.root):
            there = [self.root / f"{name}{suffix}" for suffix in (".weights", ".pin.json", IMPORTED_SUFFIX)]
            there = [path for path in there if path.is_file() or path.is_symlink()]
            for path in there:
                path.unlink(missing_ok=True)
            for path in parts(self.root, name):
                discard(path)
        return bool(there)

    def _beside(self, entry: Checkpoint, suffix: str) -> Path:
        return self.root / (entry.name + suffix)

    def _places(self, entry: Checkpoint) -> list[Path]:
        bundled = [places.bundled_folder() / entry.file] if entry.file is not None else []
        return [*bundled, self.path(entry)]

    def _look(self, entry: Checkpoint) -> tuple[StoredFile | None, str]:
        """(the right file or None, what is wrong with the one that is here or "")."""
        fault = ""
        want = self._want(entry)
        for path in self._places(entry):
            try:
                digest, size = hash_file(path)
            except FileNotFoundError:
                continue
            except NotADirectoryError as error:
                raise WeightsError(f"{self.root}: is not a folder", ANOTHER_CACHE) from error
            except OSError as error:
                fault = f"{path}: cannot be read: {error.strerror}"
                continue
            if not want.accepts(digest):
                fault = f"{path}: is damaged: {want}, got {digest}"
                continue
            if not want.exact:  # put there by the user: taken on trust, as a download would be
                with contextlib.suppress(OSError):
                    self._pin(entry, digest, size)
            return StoredFile(path, digest, size, pinned=not want.exact), ""
        return None, fault

    def _absent(self, entry: Checkpoint, fault: str, offline: bool) -> WeightsError:
        if fault:
            return WeightsError(fault, "delete that file, then get it again" if entry.urls else how_to_get(entry))
        if not offline:
            return WeightsError(f"{entry.name}: is not on this machine, and has no address to be fetched from")
        begins = "is" if entry.sha256 else "begins with"
        identity = f", its sha256 {begins} {entry.known_sha256}" if entry.known_sha256 else ""
        hint = f"put the file from {entry.urls[0] if entry.urls else entry.source} at {self.path(entry)}{identity}"
        if entry.urls:
            hint += f"; or, with a network, 'upscale models pull {entry.name}'"
        return WeightsError(f"{entry.name}: is not on this machine, and the program is offline", hint)

    def _download(self, entry: Checkpoint, progress: Progress | None) -> StoredFile:
        want = self._want(entry)
        sweep(self.root)
        with claim(self.root, entry.name, want.sha256) as copy:
            if want.bytes is not None and want.bytes - copy.size > free_bytes(self.root):
                raise disk_full(self.root, want.bytes)
            try:
                digest = self._downloader().fetch(entry.urls, want, copy, progress)
            except WeightsError as error:
                raise WeightsError(f"{entry.name}: {error.message}", error.hint) from error
            return self._publish(entry, copy, digest)

    def _publish(self, entry: Checkpoint, copy: Part, digest: str) -> StoredFile:
        new = not self._want(entry).exact
        if new:  # before the file: one without its pin would be trusted whatever it is
            self._pin(entry, digest, copy.size)
        publish(copy.path, self.path(entry))
        return StoredFile(self.path(entry), digest, copy.size, pinned=new)

    def _downloader(self) -> Fetcher:
        from upscale_cli.weights.download import Downloader  # requests is slow to import; a cached model does without

        return self._fetcher or Downloader()

    def _want(self, entry: Checkpoint) -> Want:
        """What the file must be: as the catalogue says, else as it was when it first came."""
        if entry.sha256 is not None:
            return Want(entry.sha256, entry.bytes)
        try:
            pin = json.loads(self._beside(entry, ".pin.json").read_bytes())
            return Want(str(pin["sha256"]), int(pin["bytes"]), pinned=True)
        except FileNotFoundError:
            return Want(entry.sha256_prefix, entry.bytes)
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = f"upscale models remove {entry.name}, then pull it again"
            raise WeightsError(f"{self._beside(entry, '.pin.json')}: is damaged", hint) from error

    def _pin(self, entry: Checkpoint, digest: str, size: int) -> None:
        record = {"sha256": digest, "bytes": size}
        write_whole(self._beside(entry, ".pin.json"), json.dumps(record).encode())

    @contextlib.contextmanager
    def _locked(self, entry: Checkpoint) -> Iterator[None]:
        """Alone with this model's download, where the file system has locks; it is right without them too."""
        from filelock import FileLock

        lock = FileLock(self._beside(entry, ".lock"))
        if Path(lock.lock_file).is_symlink():
            Path(lock.lock_file).unlink()
        try:
            lock.acquire()
        except NotImplementedError:  # a file system without locks: at worst the file is fetched twice
            yield
            return
        try:
            yield
        finally:
            lock.release()
