"""Which network a checkpoint's tensors make: its method, its sizes, and whether they are those that are wanted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upscale_cli.errors import WeightsError
from upscale_cli.methods import ROOMS, load_method
from upscale_cli.methods.method import Method, Shapes
from upscale_cli.methods.sizes import borne_out
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


def nearest(state: Mapping[str, "Tensor"]) -> str:
    """The method that most of the tensors' names are of, for a checkpoint that none recognises."""
    return max(ROOMS, key=lambda method: len(load_method(method).expected_tensors({}).keys() & state.keys()))


def require_fit(
    state: Mapping[str, "Tensor"], method: str, options: Mapping[str, Any], source: str, *, scale: int
) -> None:
    """Raises WeightsError unless `state` is a checkpoint of this method, these sizes and this scale; says what it is.

    source: what the tensors come from, for the message.
    """
    room, shapes = load_method(method), _shapes(state)
    _require_sizes(room, shapes, options, f"{source}: is a {method} network of another size")
    require_tensors(state, room.expected_tensors(options), source)
    if scale != room.scale(options):
        made = room.scale(options)
        hint = f"export it again, or import it with --scale {made}"
        raise WeightsError(f"{source}: is said to enlarge x{scale}, and enlarges x{made}", hint)


def require_same_sizes(
    state: Mapping[str, "Tensor"], network: Mapping[str, "Tensor"], method: str, source: str
) -> None:
    """Raises WeightsError where two networks of `method` have other sizes, and says which.  source: of `state`."""
    found, wanted = (load_method(method).recognised(_shapes(each)) for each in (state, network))
    if found is not None and wanted is not None:
        _require_equal(
            found,
            wanted,
            f"{source}: is a {method} network of another size",
            "give [generator] its sizes, or name another",
        )


def _require_sizes(room: Method, shapes: Shapes, options: Mapping[str, Any], fault: str) -> None:
    """Compares sizes before anything is built that has them."""
    found = room.recognised(shapes)
    if found is None:
        if not borne_out(options, shapes):
            raise WeightsError(
                f"{fault}, too small for its options", "get another file, or give its sizes as its options"
            )
        return
    wanted = found | {key: value for key, value in options.items() if key in found and value is not None}
    if wanted == found:  # so what is built is no larger than the file, but for what the options leave out
        wanted = room.recognised(room.expected_tensors(options)) or found
    _require_equal(found, wanted, fault, "give its sizes as its options")


def _require_equal(found: Mapping[str, Any], wanted: Mapping[str, Any], fault: str, hint: str) -> None:
    unlike = ", ".join(f"{key} {found[key]} instead of {wanted[key]}" for key in found if found[key] != wanted[key])
    if unlike:
        raise WeightsError(f"{fault}: {unlike}", hint)


def _shapes(state: Mapping[str, "Tensor"]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}
