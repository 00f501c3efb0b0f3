"""What every recipe has, whatever its method: data, length, optimiser, saving. A method adds its own tables."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from upscale_cli.config.toml_file import Settings

VERSION = 1
"""Of a recipe's form. It rises where an older program would take a recipe for another one than it is."""
BEST_NAME = "best"
"""The checkpoint of the best validation so far, in the run's folder, is called so; a model is not."""
_LONGEST_NAME = 100
"""Letters: file systems hold 255 bytes, and a file has a longer name until it is whole."""


def _existing_folder(path: Path) -> Path:
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib raises for a name that is too long
        raise ValueError("there is no such folder")
    return path


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError("small letters and digits only, and between them '.', '_' or '-'")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"{_LONGEST_NAME} letters at most")
    if name == BEST_NAME:
        raise ValueError("the checkpoint of the best validation is called so, choose another one")
    return name


ExistingFolder = Annotated[Path, AfterValidator(_existing_folder)]
_Beta = Annotated[float, Field(ge=0, lt=1)]
_Step = Annotated[int, Field(ge=1)]


class DataSettings(Settings):
    """Where pictures come from. Paths in a recipe are relative to the recipe's own folder."""

    train: ExistingFolder = Field(examples=["photos"])
    """Folder of high-resolution pictures."""
    lr: ExistingFolder | None = Field(default=None, examples=["photos-small"])
    """Folder of their low-resolution partners, of the same names, suffixes apart, and the originals' size over the
    scale. Left out, the recipe's degradation makes them."""
    holdout: tuple[str, ...] = ()
    """File stems of `train` that are never trained on; validation is measured on them."""
    validation: ExistingFolder | None = Field(default=None, examples=["other-photos"])
    """Folder of high-resolution pictures that validation is measured on beside those held out."""
    validation_lr: ExistingFolder | None = Field(default=None, examples=["other-photos-small"])
    """Folder of their low-resolution partners. Left out, the recipe's degradation makes them."""
    source: ExistingFolder | None = Field(default=None, examples=["camera"])
    """Folder of low-resolution photographs without partners, for the methods that learn from such."""
    plain_share: float = Field(default=0.0, ge=0, le=1)
    """Share of samples that are two plain colours instead of a photograph: they keep flat areas flat. Ours."""
    mixup: float = Field(default=0.0, ge=0, le=1)
    """Share of samples that are a mixture of two, lam a + (1 - lam) b with lam from Beta(1.2, 1.2). SRResCGAN's
    released code mixes half of its batches so; the papers do not say so."""
    workers: int = Field(default=2, ge=0, le=64)
    """Threads that draw batches ahead, 0 for none; the batches are the same."""

    @property
    def paired(self) -> bool:
        """Do good pictures come with their partners, so that none is degraded?"""
        return self.lr is not None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.validation_lr is not None and self.validation is None:
            raise ValueError("validation_lr needs validation, the folder of its originals")
        if self.paired and self.plain_share:
            raise ValueError("plain_share needs the recipe's degradation, which lr puts out of use: set it to 0")
        return self


class OptimiserSettings(Settings):
    """Adam and its learning rate (SRResCycGAN, section 3.5: epsilon 1e-8, no weight decay)."""

    lr: float = Field(default=1e-4, gt=0, le=1e30)
    """Learning rate (section 3.5: 1e-4)."""
    betas: tuple[_Beta, _Beta] = (0.9, 0.999)
    """Decay of the two moments (section 3.5: 0.9 and 0.999)."""
    schedule: Literal["milestones", "cosine", "linear"] = "milestones"
    """Halved at `milestones` (section 3.5); falling along a cosine to `final_lr` at the last step (ours); or constant
    over the first half of the steps and falling linearly to zero over the second (CycleGAN, CycleSR)."""
    milestones: tuple[_Step, ...] = (5_000, 10_000, 20_000, 30_000)
    """Steps after which the rate is halved (section 3.5)."""
    final_lr: float = Field(default=1e-6, ge=0)
    """Where the cosine schedule ends. Ours."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the rate rises linearly from zero. Ours; the paper has none."""
    clip_norm: float = Field(default=0.0, ge=0)
    """Largest gradient norm, 0 for none. Ours; the paper has none."""

    def with_lr(self, lr: float | None) -> "OptimiserSettings":
        """The same with another learning rate, where one is given."""
        return self if lr is None else self.model_copy(update={"lr": lr})


class RecipeSettings(Settings):
    """A training recipe's common part."""

    version: int = Field(default=VERSION, ge=1, le=VERSION)
    """Of the recipe's form: a program that is too old for it says so."""
    name: Annotated[str, AfterValidator(_file_name)] = Field(examples=["mine"])
    """The model's name; the run's folder is runs/<name> unless -o says otherwise."""
    method: str
    """Whose network is trained."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Decides the first weights and every batch."""
    start: str | None = Field(default=None, examples=["srrescycgan-generic"])
    """Model that the network starts from, by name or as a file (from the current folder); left out, from new weights.
    It may lack what begins as if it were not there (SRResCycGAN's context).
    SRResCycGAN goes on from a pretrained generator for its challenge entry (section 4.5)."""
    teacher: str | None = Field(default=None, examples=["rwsr-psnr"])
    """Trained model, by name or as a file, whose pictures of the low-resolution patches are learned from beside the
    photographs. Ours (knowledge distillation; Hinton et al., 2015); left out, none."""
    teacher_share: float = Field(default=0.8, gt=0, le=1)
    """How much of what is learned from is the teacher's. Ours."""
    max_steps: int = Field(default=51_000, ge=1)
    """Steps in all (SRResCycGAN, section 3.5: 51,000)."""
    batch: int = Field(default=16, ge=1)
    """Patches in a step (section 3.5: 16)."""
    patch: int = Field(default=32, ge=8)
    """Side of a low-resolution patch in pixels (section 3.5: 32)."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of convolutions; losses and logits keep float32. bf16 is faster on CPUs and GPUs that have it and a little less
    exact; fp16 is for GPUs without bf16, its gradients are scaled. Ours."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are what is exported; 0 for none. Ours; the paper does not average."""
    save_every: int = Field(default=500, ge=1)
    """Steps between checkpoints, each followed by a validation. Ours."""
    data: DataSettings
    optimiser: OptimiserSettings = OptimiserSettings()

    @property
    def workers(self) -> int:
        """Threads that draw batches ahead."""
        return self.data.workers

    @property
    def exported_method(self) -> str:
        """Whose checkpoints such a run starts from and exports."""
        return self.method

    @property
    def paired(self) -> bool:
        """Are a batch's good patches what its low-resolution ones were made from?"""
        return True

    @property
    def translates(self) -> bool:
        """Is a network trained that makes pictures of one kind look like those of another (a `Translating`)?"""
        return False


FREE = frozenset({"data.workers", "save_every", "start"})
"""Keys that change no result any more: a run is resumed with other values of them without a word."""
MOVABLE = frozenset({"data.train", "data.lr", "data.validation", "data.validation_lr", "data.source"})
"""Keys that a run is resumed with other values of, but says so: the same pictures may lie elsewhere by then."""
LEARNED_FROM = frozenset({"data.train", "data.lr", "data.source"})
"""Those of them that decide what is learned."""
