"""The learning rate as a pure function of the step, so that a resumed run needs no scheduler state."""

import math

from upscale_cli.training.settings import OptimiserSettings


def learning_rate(step: int, max_steps: int, settings: OptimiserSettings) -> float:
    """The rate of step `step` (from 0)."""
    warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "cosine":
        progress = min(step / max_steps, 1.0)
        rate = settings.final_lr + (settings.lr - settings.final_lr) * (1 + math.cos(math.pi * progress)) / 2
    elif settings.schedule == "linear":
        rate = settings.lr * min(1.0, 2 * (1 - step / max_steps))
    else:
        rate = settings.lr * 0.5 ** sum(step >= milestone for milestone in settings.milestones)
    return warm * rate
