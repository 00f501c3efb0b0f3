"""Convolutions in fewer bits where that is faster; what is added up or compared afterwards keeps float32."""

import torch
from torch import Tensor

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""As options and recipes call them."""


def reduced(x: Tensor, body: torch.dtype) -> torch.autocast:
    """A context in which convolutions on x's device compute in `body`; float32 changes nothing."""
    return torch.autocast(x.device.type, body, enabled=body != torch.float32)
