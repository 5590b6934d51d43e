"""Settings that two descendants of Caffe read differently, where no prototxt says which is meant: a
net that fits together with the second reading alone has it.

* ``zoom_factor`` of Interp: DeepLab's ``size + (size - 1) (zoom - 1)``, or Intel's ``size * zoom``.
* PriorBox: the boxes of Caffe's SSD branch, or TextBoxes' with each box twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.note import Note

ZOOM_NOTE = (
    "zoom_factor of Interp multiplies the size; the net does not fit together with"
    " size + (size - 1) * (zoom - 1)"
)
DENSER_NOTE = (
    "PriorBox has each box twice, as TextBoxes has it (denser_prior_boxes); the net does not fit"
    " together with the boxes of Caffe's SSD branch"
)


@dataclass(frozen=True)
class Reading:
    """The second reading of the settings of some layers: their messages with a field set."""

    params: Sequence[Message]
    field: str
    note: str

    def take(self, second: bool) -> None:
        """Gives the layers the second reading, or leaves them undecided, which is the first."""
        for param in self.params:
            if second:
                setattr(param, self.field, True)
            else:
                param.ClearField(self.field)

    @property
    def is_taken(self) -> bool:
        """Whether the layers have the second reading."""
        return all(getattr(param, self.field) for param in self.params)


def readings(layers: Iterable[Layer]) -> list[Reading]:
    """The second readings that are possible."""
    params = [layer.param for layer in layers]
    zooms = [p.interp_param for p in params if p.HasField("interp_param")]
    zooms = [p for p in zooms if p.zoom_factor > 1 and not p.HasField("exact_zoom")]
    priors = [p.prior_box_param for p in params if p.type == "PriorBox"]
    priors = [p for p in priors if not p.HasField("denser_prior_boxes")]
    found = [
        Reading(zooms, "exact_zoom", ZOOM_NOTE),
        Reading(priors, "denser_prior_boxes", DENSER_NOTE),
    ]
    return [each for each in found if each.params]


def reading_notes(path: Path, found: Iterable[Reading]) -> list[Note]:
    """A note for each second reading that layers have which were undecided."""
    return [Note("second-reading", f"{path}: {each.note}") for each in found if each.is_taken]
