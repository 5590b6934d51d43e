"""The two meanings of Interp's zoom_factor: DeepLab's ``size + (size - 1) (zoom - 1)``, and Intel's
``size * zoom``. No prototxt says which; a net that fits together with the second alone has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import InterpParameter


def undecided(layers: Iterable[Layer]) -> list[InterpParameter]:
    """The parameters of layers whose zoom_factor can mean either."""
    params = (layer.param.interp_param for layer in layers if layer.param.HasField("interp_param"))
    return [p for p in params if p.zoom_factor > 1 and not p.HasField("exact_zoom")]


def multiply(params: Sequence[InterpParameter], exact: bool) -> None:
    """Gives layers Intel's meaning, or leaves them undecided, which is DeepLab's."""
    for param in params:
        if exact:
            param.exact_zoom = True
        else:
            param.ClearField("exact_zoom")


def zoom_notes(path: object, params: Sequence[InterpParameter]) -> list[str]:
    """A note where layers that were undecided have Intel's meaning."""
    if not any(param.exact_zoom for param in params):
        return []
    return [
        f"{path}: zoom_factor of Interp multiplies the size; the net does not fit together with"
        " size + (size - 1) * (zoom - 1)"
    ]
