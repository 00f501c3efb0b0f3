"""AlexNet's features (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014).

Names of tensors are torchvision's, so its published weights fit.
"""

from torch import Tensor, nn

WIDTHS = (64, 192, 384, 256, 256)
"""Features of the five convolutions."""
SMALLEST_SIDE = 31
"""Pixels a side below which the second pooling has nothing left."""


class AlexNet(nn.Module):
    """A normalised picture (B, 3, H, W) -> the five activations, each after its ReLU: (B, WIDTHS[i], ., .)."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four, five = WIDTHS
        self.features = nn.Sequential(
            nn.Conv2d(3, one, 11, stride=4, padding=2), nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(one, two, 5, padding=2), nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(two, three, 3, padding=1), nn.ReLU(),
            nn.Conv2d(three, four, 3, padding=1), nn.ReLU(),
            nn.Conv2d(four, five, 3, padding=1), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> list[Tensor]:
        """The activations, from the finest to the coarsest."""
        activations = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                activations.append(x)
        return activations
