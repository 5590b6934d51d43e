"""What every layer of an integer net makes of the float net's own blobs."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.int8.int8_net import Int8Net, held, real
from dialects.constant import Array
from dialects.execute import execute, names_of
from dialects.meaning import evaluate_whole


def float_blobs(function: FuncOp, batch: Mapping[str, Array]) -> dict[str, Array]:
    """Every blob of a ufw function by its name, the inputs first."""
    found = dict(batch)
    execute(function, batch, evaluate_whole, found.__setitem__)
    return found


def blob_values(int8: Int8Net, names: Container[str]) -> dict[str, SSAValue]:
    """The value of every blob that the integer net has, by its name, the inputs first.

    Blobs of layers that compute nothing have none, nor has what a ReLU that is part of the layer
    before it reads: that layer makes the ReLU's blob.
    """
    function = int8.function
    inputs = names_of(function, "input_names")
    found: dict[str, SSAValue] = dict(zip(inputs, function.body.block.args, strict=True))
    for op in function.body.block.ops:
        tops = zip(names_of(op, "tops"), op.results, strict=False)
        found |= {name: value for name, value in tops if name in names}
    return found


def isolated_tensors(int8: Int8Net, blobs: Mapping[str, Array]) -> dict[str, Array]:
    """Every blob as the integer net holds it when its layer reads the float net's ``blobs``,
    rounded."""
    inputs = int8.held(blobs)
    found = dict(inputs)

    def run(op: Operation, operands: Sequence[Array]) -> Sequence[Array]:
        results = list(evaluate_whole(op, operands))
        for i, name in enumerate(names_of(op, "tops")):
            if name in blobs:
                found[name] = results[i]
                results[i] = held(blobs[name], op.results[i])
        return results

    execute(int8.function, inputs, run)
    return found


def own_errors(function: FuncOp, int8: Int8Net, blobs: Mapping[str, Array]) -> dict[str, Array]:
    """What the integer form of each layer alone adds to each of its blobs, by name.

    That is its integer result less its float result, both of the same rounded operands: what
    rounding the operands costs belongs to the layers that make them. For an input it is what
    rounding it costs. Blobs that both hold alike are left out.
    """
    values = blob_values(int8, blobs)
    errors: dict[str, Array] = {}
    rounded: dict[str, Array] = {}
    for name, array in int8.held(blobs).items():
        rounded[name] = real(array, values[name])
        errors[name] = rounded[name] - blobs[name]
    found = isolated_tensors(int8, blobs)

    def run(op: Operation, operands: Sequence[Array]) -> Sequence[Array]:
        results = list(evaluate_whole(op, operands))
        for i, name in enumerate(names_of(op, "tops")):
            if name in values:
                value = values[name]
                errors[name] = real(found[name], value) - results[i]
                results[i] = real(held(blobs[name], value), value)
        return results

    execute(function, rounded, run)
    return {name: error for name, error in errors.items() if error.any()}
