"""The preprocess contract in a prototxt, as transform_param says it, and in a umodel."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message

from bmnetu.calibration.data.faults import MisfitError
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.frontend import ufw_pb2 as ufw
from bmnetu.frontend.ufw_pb2 import ResizeParameter, TransformationParameter, TransformOp

_PLAIN = {
    "scale", "mirror", "crop_size", "mean_value", "force_color", "force_gray", "resize_param",
    "crop_h", "crop_w", "resize",
}  # fmt: skip
"""The fields of transform_param that are read; mirror, a matter of training, has no effect."""
_STEPS = {
    TransformOp.RESIZE: {"op", "resize_side", "resize_h", "resize_w"},
    TransformOp.CROP: {"op", "crop_h", "crop_w"},
    TransformOp.STAND: {"op", "mean_value", "scale", "bgr2rgb"},
    TransformOp.NONE: {"op"},
}
"""The fields of transform_op that are read, by its op, in the only order that is supported."""
_INSTEAD = {"mean_file": "mean_value", "div": "scale, which the mean's difference is multiplied by"}


def from_transform(param: TransformationParameter) -> Preprocess:
    """What a transform_param asks for. Raises :class:`MisfitError` that names what is not read."""
    if not param.transform_op:
        return _plain(param)
    others = [field.name for field, _ in param.ListFields() if field.name != "transform_op"]
    if others:
        raise MisfitError(f"transform_param has transform_op and {others[0]}; one can be")
    found = Preprocess()
    before: list[TransformOp.Op] = []
    for step in param.transform_op:
        _only(step, _STEPS[step.op], "transform_op")
        order = list(_STEPS)
        if any(order.index(step.op) <= order.index(op) for op in before):
            raise MisfitError("transform_op can be RESIZE, CROP and STAND once each, in this order")
        before += [step.op] if step.op != TransformOp.NONE else []
        found = _READ[step.op](step).over(found)
    return found


def _plain(param: TransformationParameter) -> Preprocess:
    _only(param, _PLAIN, "transform_param")
    crop = (param.crop_h, param.crop_w) if param.crop_h or param.crop_w else ()
    return Preprocess(
        resize=_resize(param),
        crop=crop or ((param.crop_size,) * 2 if param.crop_size else ()),
        color="gray" if param.force_gray else "bgr" if param.force_color else "",
        mean=tuple(param.mean_value),
        scale=(param.scale,) if param.HasField("scale") else (),
    )


def _resize(param: TransformationParameter) -> tuple[int, ...]:
    """``resize`` (one number keeps the aspect ratio), or the SSD branch's resize_param."""
    if len(param.resize) > 2:
        raise MisfitError("transform_param's resize has more than 2 numbers")
    if not param.HasField("resize_param"):
        return tuple(param.resize)
    expected = param.resize_param
    if expected.resize_mode != ResizeParameter.WARP:
        mode = ResizeParameter.Resize_mode.Name(expected.resize_mode)
        raise MisfitError(f"resize_mode {mode} of resize_param is not supported, WARP is")
    if any(mode != ResizeParameter.LINEAR for mode in expected.interp_mode):
        raise MisfitError("interp_mode of resize_param is not supported but for LINEAR")
    return expected.height, expected.width


def _only(message: Message, known: set[str], name: str) -> None:
    """Refuses the fields that are not read, unless they have their defaults."""
    for field, value in message.ListFields():
        if field.name not in known and (field.is_repeated or value != field.default_value):
            instead = _INSTEAD.get(field.name)
            hint = f"give {instead}" if instead else "use the flags -resize, -crop, -mean, -scale"
            raise MisfitError(f"{field.name} of {name} is not supported: {hint}")


def _resize_step(step: TransformOp) -> Preprocess:
    size = (step.resize_h, step.resize_w) if step.resize_h or step.resize_w else ()
    return Preprocess(resize=size or ((step.resize_side,) if step.resize_side else ()))


def _stand_step(step: TransformOp) -> Preprocess:
    color = "rgb" if step.bgr2rgb else ""
    return Preprocess(color=color, mean=tuple(step.mean_value), scale=tuple(step.scale))


_READ: dict[TransformOp.Op, Callable[[TransformOp], Preprocess]] = {
    TransformOp.RESIZE: _resize_step,
    TransformOp.CROP: lambda step: Preprocess(crop=(step.crop_h, step.crop_w)),
    TransformOp.STAND: _stand_step,
    TransformOp.NONE: lambda step: Preprocess(),
}


def to_record(contract: Preprocess) -> ufw.Preprocess:
    """The umodel's record of a contract."""
    return ufw.Preprocess(**contract.given())  # pyright: ignore[reportArgumentType]


def from_record(record: ufw.Preprocess) -> Preprocess:
    """The contract that a umodel records."""
    resize, crop = tuple(record.resize), tuple(record.crop)
    return Preprocess(resize, crop, record.color, tuple(record.mean), tuple(record.scale))
