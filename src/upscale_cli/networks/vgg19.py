"""VGG-19 (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015).

Only the features that perceptual losses compare.  Names of tensors are torchvision's, so its published weights fit.
"""

from torch import Tensor, nn

from upscale_cli.networks.imagenet import Normalise

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Width and number of 3x3 convolutions of each stage; between two stages the picture is halved (configuration E)."""


class Vgg19(nn.Module):
    """RGB in [0, 1], (B, 3, H, W) -> features of conv5_4 before its ReLU, (B, 512, H // 16, W // 16).

    The depth is ESRGAN's (Wang et al. 2018, 3.3, "VGG19-54": the 4th convolution before the 5th pooling, before
    activation), torchvision's index 34.
    """

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise()
        layers: list[nn.Module] = []
        width = 3
        for features, convolutions in STAGES:
            for _ in range(convolutions):
                layers += [nn.Conv2d(width, features, 3, padding=1), nn.ReLU(inplace=True)]
                width = features
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-2])

    def forward(self, x: Tensor) -> Tensor:
        """The features of `x`, its ImageNet normalisation included."""
        features: Tensor = self.features(self.normalise(x))
        return features
