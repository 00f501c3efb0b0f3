"""The sheet shows the named part of each picture, and each model's picture of it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "side_by_side.py"


def test_parts_lie_under_each_other(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    Image.new("RGB", (10, 12), (90, 120, 150)).save(tmp_path / "flat.png")
    sheet = tmp_path / "sheet.png"
    pictures = [f"{tmp_path / 'noise.png'}@5,7", str(tmp_path / "flat.png")]
    models = ["-m", "rwsr-psnr --precision fp32", "-m", "srrescycgan-generic"]
    subprocess.run([sys.executable, str(SCRIPT), *pictures, *models, "--side", "8", "-o", str(sheet)], check=True)
    seen = np.asarray(Image.open(sheet))
    assert seen.shape == (2 * 36, 3 * 36, 3)
    large = Image.fromarray(pixels).resize((120, 96), Image.Resampling.BICUBIC)
    assert (seen[:32, :32] == np.asarray(large)[20:52, 28:60]).all()
    assert not (seen[:32, 36:68] == seen[:32, 72:104]).all()
    for column in (0, 36, 72):
        assert np.abs(seen[36:68, column : column + 32].astype(int) - (90, 120, 150)).max() <= 2
