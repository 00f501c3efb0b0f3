"""Made-up pictures of a phone, for there are none that may be committed: another tone, soft, noisy, compressed."""

from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from upscale_cli.degradation.operations import Pixels


def by_phone(picture: Pixels, seed: int = 0) -> Pixels:
    """(H, W, 3) as a phone would have taken it."""
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float32) / 255
    toned = np.clip(soft * (1.1, 0.95, 0.85), 0, 1) ** 0.8 * 1.1 - 0.11
    noisy = 255 * toned + np.random.default_rng(seed).normal(0, 8, picture.shape)
    _, jpeg = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def scene(number: int = 0, shift: tuple[int, int] = (0, 0), size: tuple[int, int] = (72, 64)) -> Pixels:
    """A part of a photograph (height, width, 3), whose content lies `shift` further right and below."""
    photo = (skimage.data.astronaut, skimage.data.coffee, skimage.data.chelsea)[number]()
    top, left = 120 - shift[1], 200 - shift[0]
    return np.ascontiguousarray(photo[top : top + size[1], left : left + size[0]])


def save_pair(name: str, phone: Pixels, reference: Pixels) -> None:
    """phone/NAME.jpg and dslr/NAME.png in the current folder."""
    for folder, suffix, pixels in (("phone", "jpg", phone), ("dslr", "png", reference)):
        path = Path(folder, f"{name}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
