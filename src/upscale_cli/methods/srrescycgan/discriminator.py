"""The discriminators of section 3.3: D_x judges high-resolution pictures, D_y judges patches of low-resolution ones.

Both take RGB in [0, 255], as everything in this room does, and return C of Eq. (5), the raw output before the sigmoid.
Both look at high frequencies only, as in the released code: colours and levels are the business of the other losses.
"""

from torch import Tensor, nn

from upscale_cli.networks.high_frequencies import high_frequencies
from upscale_cli.networks.vgg_discriminator import SLOPE, VggDiscriminator


class DiscriminatorX(VggDiscriminator):
    """D_x (section 3.3): ten convolutions, 3x3 and 4x4 in turn, 64 to 512 maps, then two linear layers.

    Parameters have the released names.  patch: the released network knows 128 only.  high_pass: judge high frequencies
    only, as released, and not levels.  Other arguments and errors as of `VggDiscriminator`.
    """

    def __init__(self, features: int = 64, patch: int = 128, *, high_pass: bool = True) -> None:
        super().__init__(features, patch)
        self.high_pass = high_pass

    def forward(self, x: Tensor) -> Tensor:
        """C(x): (B, 3, patch, patch) RGB in [0, 255] -> (B, 1) logits."""
        # In grey levels, and with the zeros beyond the border counted, as released: values reach +-127.
        return super().forward(high_frequencies(x, 9, count_border=True) if self.high_pass else x / 255)


class DiscriminatorY(nn.Module):
    """D_y (section 3.3): three 5x5 convolutions of 64, 128 and 256 maps, and a last one to a single map (a PatchGAN).

    It is DSGAN's, whose code was released with SRResCGAN's: no stride, so each logit judges 13x13 pixels, no batch norm
    behind the first convolution, and a 1x1 kernel last.  features, high_pass: as in `DiscriminatorX`.
    """

    def __init__(self, features: int = 64, *, high_pass: bool = True) -> None:
        super().__init__()
        self.high_pass = high_pass
        self.net = nn.Sequential(
            nn.Conv2d(3, features, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(features, 2 * features, 5, padding=2),
            nn.BatchNorm2d(2 * features),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * features, 4 * features, 5, padding=2),
            nn.BatchNorm2d(4 * features),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(4 * features, 1, 1),
        )

    def forward(self, y: Tensor) -> Tensor:
        """C(y): (B, 3, h, w) RGB in [0, 255] -> (B, 1, h, w), a logit for the patch around each pixel."""
        y = y / 255
        logits: Tensor = self.net(high_frequencies(y, 5, count_border=False) if self.high_pass else y)
        return logits
