"""DualSR's learning from one picture (section 4): what `training/loop` steps through."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.methods.dualsr.config import AdaptationSettings
from upscale_cli.methods.dualsr.crops import draw_crops, working_picture
from upscale_cli.methods.dualsr.discriminator import Discriminator
from upscale_cli.methods.dualsr.downsampler import Downsampler, downsample, shaved
from upscale_cli.methods.dualsr.estimation import estimated, is_sharp
from upscale_cli.methods.dualsr.generator import Generator
from upscale_cli.methods.dualsr.judgement import Judgement, Middle
from upscale_cli.methods.dualsr.kernels import Kernel, reduction
from upscale_cli.methods.dualsr.losses import cycle_loss, discriminator_loss, gan_loss, masked_interpolation_loss
from upscale_cli.methods.dualsr.regularisation import Regularisation
from upscale_cli.training.datasets import Batch
from upscale_cli.training.trainable import Group, Update, Validation
from upscale_cli.weights.checkpoint import Trained, write_model

ESTIMATED_FROM = 32
"""Patches that the kernel is estimated from."""


class Adaptation:
    """G_UP, G_DN and D_DN learning from a picture (a `training.trainable.Trainable`).

    A batch's `lr` are patches x and its `hr` patches y of the same picture: unpaired, and both as the camera gave them.
    """

    def __init__(
        self,
        pixels: Samples,
        settings: AdaptationSettings,
        given: Kernel | None = None,
        truth: Samples | None = None,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        """pixels: (H, W, 1 or 3), no side below `settings.patch` and the border that is left out.

        given: the kernel, where it is known and only G_UP is to learn (Table 1, third part), as of `kernels.prepared`.
        truth: what the result should be, (2H, 2W, 1 or 3), to be held against the result's middle; never learned from.
        start: what G_UP begins with in the forward course, a state of `Generator`.
        """
        torch.manual_seed(settings.seed)
        self.settings = settings
        # Made and initialised in the released code's order, so that a seed means the same weights.
        self.G_DN = Downsampler()
        self.D_DN = Discriminator()
        self.G_UP = Generator(settings.generator)
        self.network: nn.Module = self.G_UP
        for initialise in (self.G_DN.initialise, self.D_DN.initialise, self.G_UP.initialise):
            initialise()
        self.regularisation = Regularisation()
        self._body = torch.bfloat16 if settings.precision == "bf16" else torch.float32
        if start is not None:
            self.G_UP.load_state_dict(start)
        self._middle = Middle(pixels, truth)
        self._picture = working_picture(_planes(pixels))
        self._crops = draw_crops(self._picture, settings.patch, settings.max_steps * settings.batch, settings.seed)
        self._tensor = torch.from_numpy(self._picture).permute(2, 0, 1)
        if given is None and settings.course == "forward":
            given = self._estimated()
        self._known = None if given is None else torch.from_numpy(given).float()
        learning_kernel = self._learning_kernel() if given is None else {}
        self.groups: Mapping[str, Group] = {"up": Group({"G_UP": self.G_UP}, settings.up), **learning_kernel}

    def _learning_kernel(self) -> dict[str, Group]:
        return {
            "down": Group({"G_DN": self.G_DN, "R": self.regularisation}, self.settings.down),
            "judge": Group({"D_DN": self.D_DN}, self.settings.down, adversary=True),
        }

    @torch.no_grad()
    def _estimated(self) -> Kernel:
        """The kernel, by what G_UP makes of patches before it learns; a sharp picture's, of which it makes too much, is
        taken for a reduction's."""
        if is_sharp(self._tensor[None]):
            return reduction("bicubic")
        x = torch.stack([self._crop(place, self.settings.patch) for place in self._crops.hr[:ESTIMATED_FROM]])
        return estimated(x, torch.cat([self.G_UP(patch[None]) for patch in x]))

    @torch.no_grad()
    def kernel(self) -> Kernel:
        """The kernel (K, K) that G_DN has come to, or the one that is known."""
        kernel = self.G_DN.kernel() if self._known is None else self._known
        return kernel.cpu().numpy().astype(np.float64)

    def draw(self, step: int, samples: range) -> Batch:
        """Crops of the picture."""
        places = [step * self.settings.batch + sample for sample in samples]
        lr = [self._crop(self._crops.lr[place], self.settings.patch // 2) for place in places]
        hr = [self._crop(self._crops.hr[place], self.settings.patch) for place in places]
        return Batch(torch.stack(lr), torch.stack(hr))

    def step(self, number: int, batch: Batch, update: Update) -> None:
        """Both generators by Eq. (2), then the discriminator by Eq. (4) on what G_DN had made before.

        In the forward course G_UP alone, by one term of Eq. (5).
        """
        x, y, weights = batch.lr, batch.hr, self.settings.loss
        kernel = self.G_DN.kernel() if self._known is None else self._known.to(y.device)
        if self.settings.course == "forward":
            restored = downsample(self.G_UP(y, self._body), kernel)
            update("up", {"cycle_forward": weights.cycle * cycle_loss(restored, y)})
            return
        fake_hr, fake_lr = self.G_UP(x, self._body), downsample(y, kernel)
        terms = {
            "cycle_forward": weights.cycle * cycle_loss(downsample(fake_hr, kernel), x),
            "cycle_backward": weights.cycle * cycle_loss(self.G_UP(fake_lr, self._body), y),
            "interpolation": weights.interpolation * masked_interpolation_loss(fake_hr, x),
        }
        if self._known is not None:
            update("up", terms)
            return
        regular = self.regularisation.terms(kernel, y, fake_lr)
        terms["gan"] = gan_loss(self.D_DN(fake_lr), real=True)
        terms["regularisation"] = weights.regularisation * self.regularisation.total(regular)
        update(("up", "down"), terms)
        fake_lr = fake_lr.detach()
        real = self.D_DN(shaved(x, fake_lr))
        update("judge", {"discriminator": discriminator_loss(real, self.D_DN(fake_lr))})
        self.regularisation.advance(number, float(regular["bicubic"].detach()))

    def validate(self, network: nn.Module) -> Validation:
        """PSNR and SSIM of the result's middle on luminance, where the truth is known."""
        return Validation(self._middle.figures(network))

    def judged(self) -> Judgement:
        """What can be said of the upsampler without the truth."""
        return self._middle.judged(self.G_UP, self.kernel())

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """G_UP as a checkpoint of this method."""
        s = self.settings
        options = s.generator.model_dump(mode="json")
        about = Trained("dualsr", s.generator.scale, options, s.name, step)
        write_model(network.state_dict(), path, about)

    def _crop(self, place: NDArray[np.intp], side: int) -> Tensor:
        top, left = place
        return self._tensor[:, top : top + side, left : left + side]


def _planes(pixels: Samples) -> NDArray[np.float32]:
    """(H, W, 3) in [0, 1], float32."""
    return to_tensor(pixels)[0].permute(1, 2, 0).numpy()
