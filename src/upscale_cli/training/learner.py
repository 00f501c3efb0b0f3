"""What a step changes and a checkpoint holds: networks, their optimisers, the running average, random states."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from upscale_cli.errors import TrainingStateError
from upscale_cli.training.course import Course
from upscale_cli.training.processes import Processes, share_batch_norm
from upscale_cli.training.schedule import learning_rate
from upscale_cli.training.trainable import Group, Trainable

FORM = 2
"""Of a state; one of another form cannot be gone on from."""
LOWER_RATE = "go on with --resume --force-config and a lower optimiser.lr"


class Learner:
    """Steps the groups of a method and averages its network.

    After construction everything is on the device of `processes`, the same in all of them.
    """

    def __init__(self, trainable: Trainable, settings: Course, processes: Processes) -> None:
        self._groups = trainable.groups
        self._settings = settings
        self._processes = processes
        for _, network in self._networks():
            network.to(processes.device)
            if processes.count > 1:
                share_batch_norm(network)
        self.network = trainable.network
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()  # it never learns
        self._optimisers = {name: _adam(group) for name, group in self._groups.items()}
        # Half of the numbers of float16 lie below 6e-5: without scaling, small gradients would be zero.
        self._scaler = torch.amp.GradScaler(processes.device.type, enabled=settings.precision == "fp16")
        self._step = 0
        self._shown: dict[str, Tensor] = {}

    def begin(self, step: int) -> None:
        """Step `step` (from 0) is about to be done."""
        self._step = step
        self._shown = {}

    def update(self, groups: str | Sequence[str], terms: Mapping[str, Tensor], /) -> None:
        """See `trainable.Update`.

        Raises TrainingStateError, with the groups as they were, where the sum or its gradient is not finite.
        """
        values = torch.stack([term.float() for term in terms.values()])
        parameters = {
            group: [p for part in self._optimisers[group].param_groups for p in part["params"]]
            for group in ([groups] if isinstance(groups, str) else groups)
        }
        for group in parameters:
            self._optimisers[group].zero_grad(set_to_none=True)
        # Only for these groups' parameters: a generator's loss leaves its discriminator alone.
        self._scaler.scale(values.sum()).backward(inputs=_flat(parameters))  # type: ignore[no-untyped-call]
        gradients = {group: [p.grad for p in own if p.grad is not None] for group, own in parameters.items()}
        shown = values.detach()
        self._processes.average([*_flat(gradients), shown])
        self._shown |= dict(zip(terms, shown.unbind(), strict=True))
        for group in parameters:
            self._scaler.unscale_(self._optimisers[group])
        norms = {group: nn.utils.get_total_norm(own) for group, own in gradients.items()}
        # A scaled gradient may overflow: then the scaler leaves out the step and lowers its factor.
        trusted = shown.sum() if self._scaler.is_enabled() else shown.sum() + sum(norms.values())
        if not math.isfinite(trusted.item()):
            raise self._not_finite()
        for group, norm in norms.items():
            self._lower(group, parameters[group], norm)

    def _lower(self, group: str, parameters: Sequence[nn.Parameter], norm: Tensor) -> None:
        """One step of the group's optimiser along gradients of this norm."""
        optimiser, settings = self._optimisers[group], self._groups[group].optimiser
        if settings.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, settings.clip_norm, norm)
        for part in optimiser.param_groups:
            part["lr"] = learning_rate(self._step, self._settings.max_steps, settings)
        self._scaler.step(optimiser)

    def end(self) -> dict[str, float]:
        """The step is done: averages the network; the step's terms by name, and their `total`."""
        self._scaler.update()
        self._update_average(min(self._settings.ema, (self._step + 1) / (self._step + 10)))
        values = torch.stack(list(self._shown.values())).tolist()
        return dict(zip(self._shown, values, strict=True)) | {"total": sum(values)}

    @property
    def rate(self) -> float:
        """The learning rate of the step, that of the first group."""
        first = next(iter(self._groups.values()))
        return learning_rate(self._step, self._settings.max_steps, first.optimiser)

    def require_finite(self) -> None:
        """Raises TrainingStateError where a weight or a statistic is not, as a step may make it of finite gradients."""
        for network, module in self._networks():
            for name, value in module.state_dict().items():
                if not value.isfinite().all():
                    raise TrainingStateError(
                        f"{network}'s {name} is not finite after step {self._step + 1}", LOWER_RATE
                    )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds, beside the step."""
        # Draws depend on (seed, step, sample) alone; PyTorch's own random state is there for steps that use it.
        random = {"cpu": torch.get_rng_state()}
        if self._processes.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self._processes.device)
        return {
            "form": FORM,
            "processes": self._processes.count,
            "networks": {name: network.state_dict() for name, network in self._networks()},
            "average": self.average.state_dict(),
            "optimisers": {name: optimiser.state_dict()["state"] for name, optimiser in self._optimisers.items()},
            "scaler": self._scaler.state_dict(),
            "random": random,
        }

    def slim_state(self) -> dict[str, Any]:
        """As `state`, with adversaries rounded to bfloat16 and without their optimisers."""
        state = self.state()
        for name, group in self._groups.items():
            if group.adversary:
                state["optimisers"][name] = {}
                state["networks"] |= {key: _rounded(state["networks"][key]) for key in group.networks}
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back to `state`; learning rates and betas stay the recipe's.  Raises TrainingStateError for another's."""
        if state.get("form") != FORM:
            raise TrainingStateError(
                f"the checkpoint has form {state.get('form', 1)}, this version reads {FORM}",
                "go on with the version that made it, or begin anew",
            )
        kept: Mapping[str, Mapping[str, Tensor]] = {**state["networks"], "average": state["average"]}
        modules = {**dict(self._networks()), "average": self.average}
        if kept.keys() != modules.keys():
            raise _of_another(f"it holds {', '.join(kept)}, this recipe trains {', '.join(modules)}")
        for name, module in modules.items():
            _check_shapes(name, module.state_dict(), kept[name])
            module.load_state_dict(kept[name])
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state["optimisers"][name]})
        self._scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"]["cpu"])
        if "cuda" in state["random"] and self._processes.device.type == "cuda":
            torch.cuda.set_rng_state(state["random"]["cuda"], self._processes.device)

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        """average = decay * average + (1 - decay) * network."""
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, latest in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(latest)

    def _networks(self) -> Iterator[tuple[str, nn.Module]]:
        for group in self._groups.values():
            yield from group.networks.items()

    def _not_finite(self) -> TrainingStateError:
        terms = ", ".join(f"{name} {value.item():g}" for name, value in self._shown.items())
        what = "gradient" if all(math.isfinite(value.item()) for value in self._shown.values()) else "loss"
        return TrainingStateError(f"the {what} is not finite at step {self._step + 1} ({terms})", LOWER_RATE)


def _flat(groups: Mapping[str, Sequence[Tensor]]) -> list[Tensor]:
    return [tensor for own in groups.values() for tensor in own]


def _adam(group: Group) -> torch.optim.Adam:
    parameters = [p for network in group.networks.values() for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=group.optimiser.lr, betas=group.optimiser.betas)


def _rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.bfloat16() if value.is_floating_point() else value for name, value in state.items()}


def _check_shapes(network: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        wanted, given = (str(tuple(side[name].shape)) if name in side else "missing" for side in (expected, found))
        if wanted != given:
            raise _of_another(f"{network}'s {name} is {given} there and {wanted} in this recipe")


def _of_another(how: str) -> TrainingStateError:
    return TrainingStateError(
        f"the checkpoint is of another network: {how}", "resume with the recipe that it was made by"
    )
