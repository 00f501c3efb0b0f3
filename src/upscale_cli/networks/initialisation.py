"""How a network's numbers begin, where PyTorch's own way is not the paper's."""

from torch import nn

DEVIATION = 0.02
"""Of pix2pix and CycleGAN: weights are drawn from N(0, 0.02)."""


def normal_(network: nn.Module) -> None:
    """CycleGAN's (Zhu et al. 2017, appendix 7.2), for generators and discriminators: convolutions N(0, 0.02) without a
    bias, batch norm N(1, 0.02); from PyTorch's random state."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, DEVIATION)
            nn.init.zeros_(layer.bias)


def he_(network: nn.Module, slope: float = 0.0) -> None:
    """He et al. 2015, for networks without norms, in which 0.02 would leave nothing of a picture after a few layers:
    convolutions keep the variance through leaky ReLUs of this slope, no bias; from PyTorch's random state."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, slope)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
