"""What discriminators look at where colours and levels are none of their business (DSGAN, SRResCGAN)."""

import torch.nn.functional as F
from torch import Tensor


def high_frequencies(x: Tensor, size: int, *, count_border: bool) -> Tensor:
    """0.5 + 0.5 (x - mean of size x size pixels); (B, 3, H, W) in any range -> float32 of the same shape.

    count_border: whether zeros beyond the border count in the mean; if not, it is that of the pixels which are there.
    """
    x = x.float()
    mean = F.avg_pool2d(x, size, stride=1, padding=size // 2, count_include_pad=count_border)
    return 0.5 + 0.5 * (x - mean)
