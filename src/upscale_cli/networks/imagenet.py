"""What networks trained on ImageNet expect of a picture, as torchvision's published weights were trained."""

import torch
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """(x - mean) / std for each colour; (B, 3, H, W) -> the same shape."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, float, float] = MEAN, std: tuple[float, float, float] = STD) -> None:
        super().__init__()
        # On the CPU whatever the default device: where a network is made on "meta", these come from no file later.
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, device="cpu")[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised picture."""
        return (x - self.mean) / self.std
