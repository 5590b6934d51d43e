"""What of a prototxt is not known: which unknown fields change the network, and which do not.

A field inside the parameters of a layer changes what the layer computes, so an unknown one is an
error. Fields of the training, of other engines and of the data do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend.prototxt.text import Unknown
from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.nearest import slips
from bmnetu.note import Note
from dialects.names import quoted

SILENT = frozenset({
    # how a framework computes
    "engine", "conv_algorithm", "conv_algos_override", "cudnn_convolution_algo_seeker", "fuse",
    "force_nd_im2col", "forward_type", "backward_type", "forward_math", "backward_math",
    "default_forward_type", "default_backward_type", "default_forward_math",
    "default_backward_math", "debug", "debug_info",
    # how it trains
    "loss_param", "accuracy_param", "quantization_param", "filler", "weight_filler",
    "bias_filler", "scale_filler", "shift_filler", "slope_filler", "lr_mult", "decay_mult",
    "momentum", "dropout_ratio", "frozen",
    "moving_average_fraction", "update_global_stats", "stats_batch_size", "weight_fixed",
    "dis_mode", "gen_mode", "global_grad_scale", "train_state", "scale_train", "stable_prod_grad",
    "following_special", "share_in_parallel",
    # how it draws and writes files
    "save_output_param", "visualize", "visualize_threshold", "save_file", "label_map_file",
})  # fmt: skip
"""Fields that have no effect at inference, in any message."""

OF_DATA = frozenset({
    "transform_param", "data_param", "hdf5_data_param", "image_data_param", "memory_data_param",
    "window_data_param", "dense_image_data_param", "video_data_param", "dummy_data_param", "param",
})  # fmt: skip
"""Messages about data and learning; what is unknown in them is a note."""

TYPO = 2
"""An unknown field of a net or a layer with as few slips to a known one is taken for a mistyped
one."""

_PARAMETERS = {
    field.name: field.message_type
    for field in LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param") and field.name not in OF_DATA
}


def _owners(name: str) -> list[str]:
    """The parameters that have a field of this name."""
    return [each for each, kind in _PARAMETERS.items() if kind and name in kind.fields_by_name]


@dataclass(frozen=True)
class UnknownSetting:
    """An unknown field or value and the layer it stands in; None for the net itself."""

    unknown: Unknown
    where: str
    layer: str | None = None
    kind: str = ""

    @property
    def is_silent(self) -> bool:
        return self.unknown.name in SILENT or not SILENT.isdisjoint(self.unknown.where)

    @property
    def is_error(self) -> bool:
        """Whether it may change what the network computes."""
        if self.is_silent or not OF_DATA.isdisjoint(self.unknown.where):
            return False
        name, near = self.unknown.name, self.unknown.near
        if len(self.unknown.where) > 2 or self.unknown.value is not None:
            return True
        if self.layer is not None and (name.endswith("_param") or _owners(name)):
            return True
        return near is not None and slips(name.lower(), near.lower()) <= TYPO

    def __str__(self) -> str:
        layer = f": layer {quoted(self.layer)} ({self.kind})" if self.layer is not None else ""
        what = "unknown value" if self.unknown.value is not None else "unknown field"
        owners = _owners(self.unknown.name) if len(self.unknown.where) == 2 else []
        if not owners:
            return f"{self.where}{layer}: {what} {self.unknown}"
        own = [each for each in owners if each.replace("_", "") == f"{self.kind.lower()}param"]
        inside = " or ".join(own or owners)
        return f"{self.where}{layer}: {what} {self.unknown.name} (it belongs inside {inside})"


def notes_of_unknown(settings: Iterable[UnknownSetting], types: Container[str]) -> list[Note]:
    """A note for each unknown field that has no effect, equal ones with their count.

    ``types`` are the layer types that can be compiled: settings of others don't matter. Raises
    :class:`UnsupportedError` where a field has an unknown value, and :class:`InputFileError` for
    unknown fields, each with a list of all.
    """
    known = [each for each in settings if each.layer is None or each.kind in types]
    faults = [each for each in known if each.is_error]
    if faults:
        values = any(each.unknown.value is not None for each in faults)
        raise (UnsupportedError if values else InputFileError)(listed(faults))
    skipped = [each for each in known if not each.is_silent]
    first = {each.unknown.name: each for each in reversed(skipped)}
    counts = Counter(each.unknown.name for each in skipped)
    return [
        Note(
            "unknown-field",
            f"{each.where}: "
            + (f"layer {quoted(each.layer)}: " if each.layer is not None else "")
            + f"unknown field {name} is skipped"
            + (f", here and {counts[name] - 1} more time(s)" if counts[name] > 1 else ""),
        )
        for name, each in reversed(first.items())
    ]


def listed(faults: Sequence[UnknownSetting]) -> str:
    """The faults as one message."""
    if len(faults) == 1:
        return str(faults[0])
    lines = "\n".join(f"  {each}" for each in faults)
    return f"{len(faults)} settings are not known:\n{lines}"
