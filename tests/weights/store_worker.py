"""One process that asks a Store for a checkpoint, and tells what came of it as JSON.

Arguments, as JSON: port, root, entry; offline; lock: "none" makes flock do nothing; audit: tell what was written.
"""

import json
import sys
from pathlib import Path
from typing import Any

asked: dict[str, Any] = json.loads(sys.argv[1])
events: list[str] = []


def note(event: str, arguments: tuple[Any, ...]) -> None:
    writes = event == "open" and str(arguments[0]).startswith(asked["root"]) and int(arguments[2] or 0) & 0o3
    if writes or event in (
        "socket.connect",
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.link",
        "os.symlink",
        "os.truncate",
    ):
        events.append(event)


def main() -> int:
    from loopback import downloader_to

    from upscale_cli.errors import UpscaleError
    from upscale_cli.weights.entry import Entry
    from upscale_cli.weights.store import Store

    if asked.get("lock") == "none":
        import fcntl

        fcntl.flock = lambda *arguments: None
    entry = Entry.model_validate(asked["entry"])
    if asked.get("audit"):
        sys.addaudithook(note)
    store = Store(Path(asked["root"]), downloader_to(asked["port"], **asked.get("patience", {})))
    try:
        file = store.obtain(entry, offline=asked.get("offline", False))
    except UpscaleError as error:
        print(json.dumps({"error": str(error), "events": events}))
        return int(error.exit_code)
    print(json.dumps({"path": str(file.path), "sha256": file.sha256, "pinned": file.pinned, "events": events}))
    return 0


sys.exit(main())
