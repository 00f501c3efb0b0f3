"""Makes NIQE's model of sharp photographs from a folder of them.

python benchmarks/niqe_model.py FOLDER [--output src/upscale_cli/pretrained/niqe.npz]
"""

import argparse
from pathlib import Path

import numpy as np

from upscale_cli.imaging.files import read_picture
from upscale_cli.imaging.niqe import SHIPPED, fit
from upscale_cli.services.evaluation_pairs import as_rgb8
from upscale_cli.services.inputs import collect_inputs


def main() -> None:
    """Reads the folder's pictures, writes mean and covariance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    paths = [source.path for source in collect_inputs([arguments.folder], recursive=False)]
    pristine = fit(as_rgb8(read_picture(path).pixels) for path in paths if path is not None)
    np.savez(arguments.output, mean=pristine.mean, covariance=pristine.covariance)
    print(f"{arguments.output}: of {len(paths)} photographs")


if __name__ == "__main__":
    main()
