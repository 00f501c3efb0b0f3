"""`upscale evaluate` as a user types it: the table, the JSON lines, and one line for each mistake."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_processes as processes
import skimage.data
from PIL import Image

from upscale_cli.errors import ResourceError
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_worker import Worker

Upscale = Callable[..., Any]


@pytest.fixture
def evaluate(upscale: Upscale, small_model: Path) -> Upscale:
    """Runs `upscale evaluate --model <a small one> ARGUMENTS`."""
    return lambda *arguments: upscale("evaluate", "--model", small_model, *arguments)


@pytest.fixture
def hr(folder: Path) -> Path:
    """Two originals."""
    (folder / "hr").mkdir()
    for number, name in enumerate(("a", "b")):
        save(skimage.data.chelsea()[60:104, 100 + 60 * number : 148 + 60 * number], folder / "hr" / f"{name}.png")
    return folder / "hr"


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_table_with_bicubic_beside_the_model(evaluate: Upscale, hr: Path) -> None:
    ended = evaluate("--hr", "hr", "--degrade", "jpeg:30", "--channel", "y", "--shift-search", 1)
    assert (ended.code, ended.err) == (0, "")
    assert "x4, jpeg:30, luminance, border 4, best shift within 1" in ended.out
    assert "bicubic" in ended.out
    rows = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.strip()}
    means = [np.mean([float(rows[f"hr/{name}.png"][column]) for name in "ab"]) for column in (1, 2)]
    assert [float(number) for number in rows["mean"][3:5]] == pytest.approx(means, abs=0.011)


def test_metrics_are_chosen(evaluate: Upscale, folder: Path) -> None:
    save(skimage.data.chelsea()[60:168, 100:300], folder / "hr" / "a.png")
    ended = evaluate("--hr", "hr", "--metrics", "NIQE, psnr,niqe", "--degrade", "dualsr")
    assert (ended.code, ended.err) == (0, "")
    headings = next(line for line in ended.out.splitlines() if "picture" in line)
    assert headings.split() == ["picture", "NIQE", "PSNR", "NIQE", "PSNR"]
    line = json.loads(evaluate("--hr", "hr", "--metrics", "niqe", "--json").out.splitlines()[0])
    assert list(line["model"]) == ["niqe", "shift"]
    assert evaluate("--hr", "hr", "--metrics", "lpips").complained(4, "alexnet", "upscale models pull alexnet")
    assert evaluate("--hr", "hr", "--metrics", "vmaf").complained(2, "--metrics", "'vmaf'")
    assert evaluate("--hr", "hr", "--model", "vgg19").complained(2, "vgg19", "is a feature network")


def test_json_lines(evaluate: Upscale, hr: Path) -> None:
    (hr / "bad.png").write_bytes(b"no picture")
    ended = evaluate("--hr", "hr", "--json", "--crop-border", 2, "-x", "-t", 16, "--precision", "fp32")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 3
    assert [line.get("status") for line in lines] == ["measured", "measured", "failed", None]
    assert lines[0]["picture"] == "hr/a.png"
    assert lines[0]["size"] == [48, 44]
    assert lines[0]["precision"] == "fp32"
    assert "is not a picture" in lines[2]["error"]
    assert lines[3]["mean_of"] == 2
    assert lines[3]["failed"] == 1
    assert lines[3]["name"] == "small"
    for upscaler in ("model", "bicubic"):
        mean = (lines[0][upscaler]["psnr"] + lines[1][upscaler]["psnr"]) / 2
        assert lines[3][upscaler]["psnr"] == pytest.approx(mean)
    first, last = ended.err.splitlines()
    assert first.startswith("failed: hr/bad.png: is not a picture")
    assert last == "1 of 3 pictures could not be measured"


@pytest.mark.parametrize("fault, code", [(KeyboardInterrupt(), 130), (ResourceError("out of memory", ""), 5)])
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_what_is_measured_stays_where_it_ends_early(
    evaluate: Upscale, hr: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, code: int, arguments: tuple[str]
) -> None:
    whole = evaluate("--hr", "hr", *arguments).out
    compute = Worker.compute

    def failing(self: Worker, job: Job) -> Job:
        if job.target.source.stem != "a":
            raise fault
        return compute(self, job)

    monkeypatch.setattr(Worker, "compute", failing)
    ended = evaluate("--hr", "hr", *arguments)
    assert ended.code == code
    assert "stopped after 1 of 2 pictures" in ended.err
    if arguments:
        assert [json.loads(line)["picture"] for line in ended.out.splitlines()] == ["hr/a.png"]
    else:
        assert "stopped after 1 of 2 pictures" in " ".join(ended.out.split())
        assert [line for line in ended.out.splitlines() if "a.png" in line] == [
            line for line in whole.splitlines() if "a.png" in line
        ]


def test_the_protocol_of_cyclesr(evaluate: Upscale, hr: Path, folder: Path) -> None:
    """Each column is taken where it fits best; the table and the JSON say by what protocol."""
    original = skimage.data.chelsea()[60:140, 100:188]
    for name in "ab":
        save(original, hr / f"{name}.png")
    moved = Image.fromarray(np.roll(original, (4, -8), (0, 1))).resize((22, 20), Image.Resampling.BOX)
    for name in "ab":
        save(np.asarray(moved), folder / "lr" / f"{name}.png")
    how = ("--hr", "hr", "--lr", "lr", "--shift-search", 10, "--center-crop", 40)
    lines = [json.loads(line) for line in evaluate(*how, "--json").out.splitlines()]
    assert lines[0]["bicubic"]["shift"] == [4, -8]
    assert lines[0]["model"]["shift"] != [0, 0]
    assert lines[2]["protocol"] == {"channel": "rgb", "crop_border": 4, "shift_search": 10, "center_crop": 40}
    table = evaluate(*how).out
    assert "x4, lr, RGB, border 4, center crop 40 x 40, best shift within 10" in table
    assert "+4,-8" in table
    assert evaluate("--hr", "hr", "--shift-search", 1).out.count("+0,+0") == 4  # a search that moves nothing says so
    ended = evaluate("--hr", "hr", "--lr", "lr", "--shift-search", 40, "--center-crop", 60)
    assert ended.code == 3
    assert "failed: hr/a.png: 88x80 pixels" in ended.err
    assert "best shift within 40) needs 148 a side" in ended.err
    assert "make --center-crop, --shift-search or --crop-border smaller" in ended.err


def test_where_nothing_could_be_measured_there_is_no_table(evaluate: Upscale, folder: Path) -> None:
    (folder / "hr").mkdir()
    (folder / "hr" / "bad.png").write_bytes(b"no picture")
    ended = evaluate("--hr", "hr")
    assert (ended.code, ended.out) == (3, "")


def test_mistakes_are_one_line(evaluate: Upscale, upscale: Upscale, hr: Path, folder: Path) -> None:
    (folder / "empty").mkdir()
    save(np.zeros((11, 12, 3), np.uint8), folder / "lr" / "b.png")
    save(np.zeros((11, 12, 3), np.uint8), folder / "lr" / "c.png")
    assert evaluate("--hr", "nowhere").complained(2, "--hr nowhere", "no such folder")
    assert evaluate("--hr", "hr/a.png").complained(2, "--hr hr/a.png", "no such folder")
    assert evaluate("--hr", "empty").complained(2, "--hr empty", "no pictures")
    assert evaluate("--hr", "hr", "--lr", "nowhere").complained(2, "--lr nowhere", "no such folder")
    assert evaluate("--hr", "hr", "--lr", "lr").complained(2, "lr: no picture for a")
    (folder / "hr" / "a.png").unlink()
    assert evaluate("--hr", "hr", "--lr", "lr").complained(2, "hr: no picture for c")
    assert evaluate("--hr", "hr", "--lr", "lr", "--degrade", "clean").complained(2, "--lr and --degrade")
    assert evaluate("--hr", "hr", "--lr", "lr", "--seed", 0).complained(2, "--seed: nothing is drawn")
    assert evaluate("--hr", "hr", "--degrade", "noise:much").complained(2, "--degrade noise:much")
    assert evaluate("--hr", "hr", "--channel", "red").complained(2, "--channel red")
    assert evaluate("--hr", "hr", "--precision", "fp8").complained(2, "--precision fp8")
    assert evaluate("--hr", "hr", "--tile", "3").complained(2, "--tile 3")
    assert evaluate("--hr", "hr", "--tile", "much").complained(2, "--tile much")
    assert evaluate("--hr", "hr", "--crop-border", "-1").complained(2, "--crop-border")
    assert evaluate("--hr", "hr", "--shift-search", "-1").complained(2, "--shift-search")
    assert evaluate("--hr", "hr", "--center-crop", 10).complained(2, "--center-crop")
    assert evaluate().complained(2, "--hr")
    assert upscale("evaluate", "--hr", "hr", "--model", "unheard-of").complained(2, "unheard-of")
    assert upscale("evaluate", "--hr", "hr", "--model", "srrescgan", "--offline").complained(4, "srrescgan")
    save(np.zeros((44, 48, 3), np.uint8), folder / "hr" / "b.jpg")
    assert evaluate("--hr", "hr").complained(2, "several pictures are called b")


def test_a_full_standard_output_is_one_line(hr: Path, folder: Path, small_model: Path) -> None:
    command = ["evaluate", "--hr", "hr", "--model", str(small_model)]
    for number, more in enumerate(([], ["--json"]), start=1):
        assert processes.end(processes.start([*command, *more], folder, stdout="/dev/full")) == 5
        assert processes.log(folder).count("standard output: No space left on device") == number
    assert "Traceback" not in processes.log(folder)


def test_help_is_light(folder: Path) -> None:
    script = (
        "import sys\nfrom upscale_cli.cli.app import main\n"
        "try:\n    main(['evaluate', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'cv2', 'numpy', 'PIL') if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == "[]"
    assert "--crop-border" in ended.stdout
