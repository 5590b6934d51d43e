"""Prior boxes: what the locations of SSD are relative to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import (
    I64,
    BoolAttr,
    DenseArrayBase,
    Float32Type,
    FloatAttr,
    TensorType,
)
from xdsl.ir import SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure

from dialects.ufw.facts import FloatArray
from dialects.ufw.layer import LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, checked, require, show

VARIANCES = 4
MAP_RANK = 4


@irdl_op_definition
class PriorBoxOp(LayerOp):
    """Boxes of given sizes around every cell of a map: a constant that depends on shapes alone.

    The operands are the map [N, C, H, W] and, unless ``image`` gives its height and width, the
    image [N, C, height, width]. The result is [1, 2, H * W * boxes * 4]: row 0 has left, top, right
    and bottom of each box relative to the image (with ``yx_order`` top, left, bottom, right), row 1
    its four variances; cell by cell, row by row of the map. ``width`` and ``height`` are the boxes
    of a cell, in pixels of the image; the centre of cell (i, j) lies at ``(j + offset) * step_w``
    and ``(i + offset) * step_h``, where ``step`` is height, width of a cell in pixels (by default
    image / map). ``denser`` puts behind each box the same one with its centre on the lower edge of
    the cell. With ``clip`` boxes are cut off at the image's edge. Source: the PriorBox layer of
    Caffe's SSD branch and of TextBoxes++, and PriorBoxClustered of OpenVINO.
    """

    name = "ufw.prior_box"

    bottoms = var_operand_def(TensorType)
    width = prop_def(DenseArrayBase[Float32Type])
    height = prop_def(DenseArrayBase[Float32Type])
    variance = prop_def(DenseArrayBase[Float32Type])
    offset = prop_def(FloatAttr)
    step = opt_prop_def(DenseArrayBase[Float32Type])
    image = opt_prop_def(DenseArrayBase[I64])
    clip = prop_def(BoolAttr)
    yx_order = prop_def(BoolAttr)
    denser = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottoms `width` $width `height` $height `variance` $variance `offset` $offset"
        " (`step` $step^)? (`image` $image^)? `clip` $clip `yx_order` $yx_order"
        " (`denser` $denser^)? attr-dict"
        " `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottoms: Sequence[SSAValue],
        top: Top,
        width: Sequence[float],
        height: Sequence[float],
        variance: Sequence[float],
        *,
        offset: float = 0.5,
        step: Sequence[float] | None = None,
        image: Sequence[int] | None = None,
        clip: bool = False,
        yx_order: bool = False,
        denser: bool = False,
    ) -> None:
        floats = {"width": width, "height": height, "variance": variance}
        self.setup(
            [list(bottoms)],
            [top],
            {
                **{name: [float(x) for x in values] for name, values in floats.items()},
                "offset": float(offset),
                "step": None if step is None else [float(x) for x in step],
                "image": image,
                "clip": clip,
                "yx_order": yx_order,
                "denser": denser,
            },
        )

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image, in pixels."""
        if self.image is not None:
            height, width = self.image.get_values()
            return int(height), int(width)
        return shape_of(self.bottoms[1])[2], shape_of(self.bottoms[1])[3]

    def infer_shapes(self) -> list[Shape]:
        shapes = [shape_of(x) for x in self.bottoms]
        require(1 <= len(shapes) <= 2, f"{len(shapes)} inputs, a map and an image are required")
        require(self.image is not None or len(shapes) == 2, "nothing gives the size of the image")
        for shape, what in zip(shapes, ("map", "image"), strict=False):
            require(len(shape) == MAP_RANK, f"the {what} is {show(shape)}, four axes are required")
        widths, heights = self.width.get_values(), self.height.get_values()
        require(len(widths) == len(heights) > 0,
                f"{len(widths)} widths and {len(heights)} heights; as many of both are required")
        for name in ("width", "height", "variance"):
            values = getattr(self, name).get_values()
            require(all(x > 0 for x in values), f"a {name} is not positive")
        count = len(self.variance.get_values())
        require(count == VARIANCES, f"{count} variances, {VARIANCES} are required")
        for name in ("step", "image"):
            pair = getattr(self, name)
            require(pair is None or (len(pair.get_values()) == 2 and min(pair.get_values()) > 0),
                    f"{name} is height and width, both positive")
        boxes = len(widths) * (2 if self.denser.value.data else 1)
        return [checked((1, 2, shapes[0][2] * shapes[0][3] * boxes * 4))]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [self.boxes()]

    def boxes(self) -> FloatArray:
        """The result."""
        rows, columns = shape_of(self.bottoms[0])[2:]
        image = np.array(self.image_size, np.float32)
        given = self.step.get_values() if self.step is not None else None
        step = np.array(given or image / np.array([rows, columns], np.float32), np.float32)
        offset = np.float32(self.offset.value.data)
        places = [offset, np.float32(1)] if self.denser.value.data else [offset]
        y = (np.arange(rows, dtype=np.float32)[:, None] + np.array(places, np.float32)) * step[0]
        x = (np.arange(columns, dtype=np.float32) + offset) * step[1]
        centre = np.stack(np.broadcast_arrays(y[:, None, None], x[:, None, None]), -1)
        sizes = np.array([self.height.get_values(), self.width.get_values()], np.float32).T
        half = sizes[:, None] * np.float32(0.5)
        boxes = np.stack([(centre - half) / image, (centre + half) / image], -2)
        if not self.yx_order.value.data:
            boxes = boxes[..., ::-1]
        if self.clip.value.data:
            boxes = np.clip(boxes, 0, 1)
        boxes = boxes.reshape(-1, 4)
        variances = np.broadcast_to(
            np.array(self.variance.get_values(), np.float32), boxes.shape
        )
        return np.stack([boxes, variances]).reshape(1, 2, -1).astype(np.float32)
