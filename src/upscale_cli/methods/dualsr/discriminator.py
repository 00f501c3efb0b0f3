"""D_DN of DualSR, KernelGAN's discriminator (section 4): a PatchGAN that sees 7 x 7 pixels."""

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

BLOCKS = 5


class Discriminator(nn.Module):
    """D_DN with the official parameter names: a 7x7 convolution and six of 1x1, all of spectral norm 1.

    (B, 3, H, W) RGB in [0, 1] -> (B, 1, H - 6, W - 6) in [0, 1]: how real each place looks.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.first_layer = spectral_norm(nn.Conv2d(3, features, 7))
        blocks: list[nn.Module] = []
        for _ in range(BLOCKS):
            blocks += [spectral_norm(nn.Conv2d(features, features, 1)), nn.BatchNorm2d(features), nn.ReLU()]
        self.feature_block = nn.Sequential(*blocks)
        self.final_layer = nn.Sequential(spectral_norm(nn.Conv2d(features, 1, 1)), nn.Sigmoid())
        with torch.no_grad():
            # Released code: it asks for the output's size, and moves the norms' statistics on the way.
            self(torch.ones(1, 3, 128, 128))

    def initialise(self) -> None:
        """Random weights (released code)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # Without effect, as released: it writes the weight that the spectral norm makes anew from another one.
                # Left out, the same seed would mean another run.
                nn.init.xavier_normal_(layer.weight, 0.1)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        scores: Tensor = self.final_layer(self.feature_block(self.first_layer(x)))
        return scores
