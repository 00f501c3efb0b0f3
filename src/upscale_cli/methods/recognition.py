"""Which network a checkpoint's tensors make: its method, its sizes, and whether they are those that are wanted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upscale_cli.errors import WeightsError
from upscale_cli.methods import ROOMS, load_method
from upscale_cli.weights.checkpoint import require_tensors

if TYPE_CHECKING:
    from torch import Tensor


def recognise(state: Mapping[str, "Tensor"]) -> tuple[str, dict[str, Any]] | None:
    """The method, and the options where the sizes are not its usual ones; None where no method has such tensors."""
    shapes = _shapes(state)
    for method in ROOMS:
        room = load_method(method)
        options = room.recognised(shapes)
        if options is not None:
            return method, {} if room.expected_tensors({}) == shapes else options
    return None


def require_fit(state: Mapping[str, "Tensor"], method: str, options: Mapping[str, Any], source: str) -> None:
    """Raises WeightsError unless `state` is a checkpoint of this method and these sizes; says which sizes it has.

    source: what the tensors come from, for the message.
    """
    room, shapes = load_method(method), _shapes(state)
    expected = room.expected_tensors(options)
    found, wanted = room.recognised(shapes), room.recognised(expected)
    if shapes != expected and found is not None and wanted is not None:
        unlike = ", ".join(f"{key} {found[key]} instead of {wanted[key]}" for key in found if found[key] != wanted[key])
        raise WeightsError(
            f"{source}: is a {method} network of another size: {unlike}", "give its sizes as its options"
        )
    require_tensors(state, expected, source)


def _shapes(state: Mapping[str, "Tensor"]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}
