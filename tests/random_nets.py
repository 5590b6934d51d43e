"""Random networks of all layer types, as ufw modules, in FP32 and INT8."""

from __future__ import annotations

from random import Random

from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

from dialects.execute import names_of
from dialects.quant import types
from tests.net_maker import NetMaker

FLOAT_LAYERS = 0.15
"""How many layers of an INT8 net compute in float, between integer ones."""


def random_shape(rng: Random) -> tuple[int, ...]:
    """A network input's shape: ordinary, or extreme in one way."""
    match rng.choice(["plain", "plain", "plain", "image", "batch", "wide", "large", "flat"]):
        case "image":
            return 1, rng.choice([3, 16, 70]), rng.choice([8, 13, 28, 31]), rng.choice([5, 14, 30])
        case "batch":
            return rng.choice([6, 7, 9]), rng.choice([1, 5, 65]), rng.choice([1, 3]), 4
        case "wide":
            return rng.choice([1, 2, 5]), rng.choice([512, 1027, 4095, 5000]), 1, rng.choice([1, 2])
        case "large":
            return 1, rng.choice([1, 2]), rng.choice([251, 300]), rng.choice([100, 217])
        case "flat":
            shape = [rng.choice([1, 3, 10, 65, 300]) for _ in range(rng.choice([1, 2, 2, 3, 5]))]
            return (*shape[:2], *(min(extent, 10) for extent in shape[2:]))
        case _:
            return (
                rng.choice([1, 1, 2, 4, 5]),
                rng.choice([1, 3, 8, 64, 70]),
                rng.choice([1, 5, 9, 14, 15, 17]),
                rng.choice([1, 4, 7, 13, 16]),
            )


def random_module(seed: int, integer: bool, layers: int = 6) -> ModuleOp:
    """A module of up to ``layers`` random layers; every blob that nobody reads is an output."""
    rng = Random(seed)
    net = NetMaker(rng, integer)
    shapes = [random_shape(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
    if rng.random() < 0.5:
        shapes[1:] = shapes[:1] * len(shapes[1:])
    for i, shape in enumerate(shapes):
        unsigned = rng.random() < 0.2
        kind = types.int_tensor(shape, 0.02, unsigned) if integer else types.float_tensor(shape)
        net.values.append(net.block.insert_arg(kind, i))
    while net.count < layers:
        net.island = integer and rng.random() < FLOAT_LAYERS
        rng.choice(net.layers())()
    return finished(net)


def random_image_module(seed: int, integer: bool) -> ModuleOp:
    """A random network of layers that work row by row."""
    rng = Random(seed)
    net = NetMaker(rng, integer)
    shape = rng.choice([1, 2]), rng.choice([3, 8, 70]), rng.choice([24, 31]), rng.choice([16, 20])
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    net.values.append(net.block.insert_arg(kind, 0))
    while net.count < 7:
        layers = [net.convolution, net.pooling, net.eltwise, net.activation, net.concat]
        rng.choice([net.convolution, *layers])()
    return finished(net)


def finished(net: NetMaker) -> ModuleOp:
    """The module of a network that is as large as it gets."""
    return finished_block(net.block)


def finished_block(block: Block) -> ModuleOp:
    """The module of a block of layers; what none of them reads is an output."""
    inputs = [arg.type for arg in block.args]
    results = {
        name: value
        for op in block.ops
        for name, value in zip(names_of(op, "tops"), op.results, strict=True)
        if value.first_use is None
    }
    block.add_op(ReturnOp(*results.values()))
    kinds = FunctionType.from_lists(inputs, [value.type for value in results.values()])
    function = FuncOp("main", kinds, Region(block))
    names = [f"in{i}" for i in range(len(inputs))]
    function.attributes["input_names"] = ArrayAttr([StringAttr(name) for name in names])
    function.attributes["output_names"] = ArrayAttr([StringAttr(name) for name in results])
    module = ModuleOp([function])
    module.verify()
    return module
