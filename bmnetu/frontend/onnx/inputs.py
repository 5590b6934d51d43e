"""The inputs of a net: shapes that are known, element types that can be computed."""

from __future__ import annotations

from onnx import TensorProto, ValueInfoProto

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.reading.file import NUMBERS, OnnxFile
from bmnetu.frontend.onnx.refusals import Refusals
from bmnetu.frontend.prototxt.inputs import Input
from bmnetu.note import Note
from dialects.ufw.shapes import show


def inputs_of(
    file: OnnxFile, read: set[str], notes: list[Note], refusals: Refusals, declared: bool
) -> list[Input]:
    """The inputs that are read; a batch without a size is 1, other sizes have to be known.
    ``declared``: their own shapes count.
    """
    found: list[Input] = []
    for name, value in file.inputs.items():
        if name not in read:
            sentence = f'{file.path}: input "{name}" is left out: no node reads it'
            notes.append(Note("unread-input", sentence))
            continue
        kind, where = value.type.tensor_type, f'{file.path}: input "{name}"'
        if not value.type.HasField("tensor_type"):
            refusals.add(f"{where} is no tensor; export the net with tensors of FLOAT")
            continue
        shape = declared_shape(value)
        if not shape and kind.HasField("shape"):
            refusals.add(
                f"{where} is a scalar, a tensor without a dimension; export the net with a"
                " constant in its place, or with a tensor of one dimension"
            )
            continue
        sizes = [dim.dim_value for dim in kind.shape.dim if dim.HasField("dim_value")]
        if declared and shape[1:].count(0) and len(sizes) < len(shape):
            known = "x".join(dim.dim_param or str(dim.dim_value or "?") for dim in kind.shape.dim)
            raise InputFileError(f"{where} is {known}; give all its sizes with -shapes, [N,C,H,W]")
        if declared and 0 in sizes and len(sizes) == len(shape) and shape[1:].count(0):
            refusals.add(f"{where} is {show(shape)}, which has no numbers; give sizes with -shapes")
            continue
        if kind.elem_type not in NUMBERS:
            refusals.add(
                f"{where} is {element_name(kind.elem_type)}; numbers can be compiled: export the"
                " net with a float input, or with a constant in its place"
            )
        elif kind.elem_type != TensorProto.FLOAT:
            notes.append(Note(
                "element-type",
                f"{where} is {element_name(kind.elem_type)}; the bmodel takes the same numbers as"
                " FLOAT",
            ))  # fmt: skip
        if shape and shape[0] == 0:
            shape = (1, *shape[1:])
        found.append(Input(name, () if 0 in shape else shape, str(file.path)))
    return found


def declared_shape(value: ValueInfoProto) -> tuple[int, ...]:
    """The declared shape; 0 where a size is not known."""
    return tuple(max(dim.dim_value, 0) for dim in value.type.tensor_type.shape.dim)


def element_name(element: int) -> str:
    """An element type in ONNX's words."""
    known = element in TensorProto.DataType.values()
    return TensorProto.DataType.Name(element) if known else "of an unknown type"
