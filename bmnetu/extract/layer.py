"""One layer as a network of its own, with its input and the expected output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from bmnetu.compare_data import compare_data
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.files.arrays import npz_bytes
from bmnetu.files.outputs import OutputFolder
from bmnetu.files.reading import file_stem
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.frontend.network import build_network, read_files
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES
from bmnetu.frontend.ufw_pb2 import BlobShape, LayerParameter, NetParameter
from bmnetu.frontend.umodel import prototxt_bytes, umodel_bytes
from bmnetu.frontend.weights.blobs import Weights
from bmnetu.nearest import nearest
from bmnetu.options import CompileOptions
from dialects.constant import Array
from dialects.execute import execute, names_of
from dialects.meaning import evaluate_whole
from dialects.names import quoted
from dialects.quant import types
from dialects.ufw.layer import LayerOp, shape_of
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function, named_inputs
from passes.module.locations import layer_name
from passes.verification.inputs import InputTensor


@dataclass(frozen=True)
class Extracted:
    """What was written: the network of one layer, its input (npz, real numbers by name) and what
    it must give (npz, as the bmodel's outputs hold it)."""

    network: Network
    prototxt: Path
    umodel: Path
    input: Path
    expected: Path


def extract_layer(options: CompileOptions, report: Callable[[str], None]) -> Extracted:
    """Writes the layer ``options.extract_layer``, the name of a layer or of one of its tops, into
    outdir.

    The layer's input is what the CPU reference computes before it: from ``cmp_data``, or from the
    input that the compare would make up. Raises the exceptions of :mod:`bmnetu.errors`; then outdir
    holds nothing new.
    """
    folder = OutputFolder(options.outdir, "-outdir")
    folder.check()
    shapes, max_n = options.input_sets[0]
    cut = Cut(options.output_whitelist, options.host)
    files = read_files(options.model, options.weight, shapes, max_n, cut)
    network = build_network(files, shapes, max_n, options.net_name)
    op, message = _found(network, options.extract_layer or "")
    values = _named(main_function(network.module))
    bottoms = {values[bottom]: bottom for bottom in dict.fromkeys(op.operands)}
    net = _alone(network, message, files[1], bottoms)
    stem = file_stem(net.name)
    kind = "int8umodel" if network.precision is Precision.INT8 else "fp32umodel"
    names = [f"{stem}{ending}" for ending in
             (".prototxt", f".{kind}", "_input.npz", "_expected.npz")]  # fmt: skip
    folder.check(*names)
    fast = options.fast_functions
    held = _before(network, op, _inputs(options, network, report), fast)
    real = {name: _real(held[name], value) for name, value in bottoms.items()}
    if not all(np.isfinite(array).all() for array in real.values()):
        raise UnsupportedError(
            f"-extract_layer={options.extract_layer}: on this input the layer reads numbers that"
            " are not finite; give one from the network's domain with -cmp_data=FILE"
        )
    contents = [prototxt_bytes(net), umodel_bytes(net)]
    alone = _loaded(dict(zip(names, contents, strict=False)), *names[:2])
    expected = _run(alone.module.clone(), alone.precision, held, fast)
    contents += [npz_bytes(real), npz_bytes(expected)]
    folder.store(dict(zip(names, contents, strict=True)))
    prototxt, umodel, given, result = (folder.path / name for name in names)
    report(f'layer "{message.name}" ({message.type}): wrote {prototxt}, {umodel}, {given} and'
           f" {result}")
    more = f" -opt={options.opt}" + (" -use_wino" if options.use_wino else "")
    more += " -fast_functions" if fast else ""
    report(f"compile it with: bmnetu -model={prototxt} -weight={umodel} -cmp_data={given}{more}"
           " -outdir=OUT")
    return Extracted(alone, prototxt, umodel, given, result)


def _found(network: Network, name: str) -> tuple[LayerOp, LayerParameter]:
    """The layer of a name, or the one with such a top. Raises UsageError."""
    ops = [op for op in main_function(network.module).body.block.ops if isinstance(op, LayerOp)]
    layers = [layer for layer in network.net.layer if layer.type not in INPUT_TYPES]
    names = [*map(layer_name, ops)]
    tops = {top: place for place, op in enumerate(ops) for top in op.top_names}
    place = names.index(name) if name in names else tops.get(name)
    if place is not None:
        return ops[place], layers[place]
    near = nearest(name, [*names, *tops])
    hint = f"did you mean {near}?" if near else f"its layers are {_some(names)}"
    raise UsageError(f"-extract_layer={name}: the network has no such layer or top: {hint}")


SHOWN = 8


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(quoted, names[:SHOWN])) + more


def _named(function: FuncOp) -> dict[SSAValue, str]:
    """The name of every blob."""
    found = dict(named_inputs(function))
    for op in function.body.block.ops:
        if isinstance(op, LayerOp):
            found |= dict(zip(op.results, op.top_names, strict=True))
    return found


def _alone(
    network: Network, message: LayerParameter, weights: Weights, bottoms: Mapping[str, SSAValue]
) -> NetParameter:
    """The message of a net with this layer, its blobs and the scales of what it reads and makes."""
    net = NetParameter(name=f"{network.net.name}_{message.name}")
    for name, value in bottoms.items():
        made = net.layer.add(name=name, type=INPUT_TYPES[0], top=[name])
        made.input_param.shape.append(BlobShape(dim=shape_of(value)))
    layer = net.layer.add()
    layer.CopyFrom(message)
    layer.blobs.extend(weights.messages(layer))
    scales = weights.scales()
    if scales is not None:
        net.activation.extend(scales.records[name] for name in (*bottoms, *message.top))
    return net


def _inputs(
    options: CompileOptions, network: Network, report: Callable[[str], None]
) -> dict[str, Array]:
    """The network's inputs as it holds them."""
    required = [
        InputTensor(name, shape_of(value), np.dtype(types.dtype_of(value)),
                    None if types.is_float(value) else types.scale_of(value))
        for value, name in named_inputs(main_function(network.module))
    ]  # fmt: skip
    return compare_data(options, network, report).of(required, options.seed)


def _before(
    network: Network, op: LayerOp, inputs: Mapping[str, Array], fast_functions: bool
) -> dict[str, Array]:
    """What the layer reads, by name, as it is held."""
    function = main_function(network.module)
    place = list(function.body.block.ops).index(op)
    names = _named(function)
    made = [value for value in dict.fromkeys(op.operands) if isinstance(value.owner, Operation)]
    found = dict(inputs)
    if made:
        module = network.module.clone()
        _end_before(main_function(module), place, [names[value] for value in made])
        found |= _run(module, network.precision, inputs, fast_functions)
    return {names[value]: found[names[value]] for value in op.operands}


def _end_before(function: FuncOp, place: int, outputs: Sequence[str]) -> None:
    """Makes a function end before its op at that place, with these blobs as outputs."""
    block = function.body.block
    ops = list(block.ops)
    named = {name: value for value, name in _named(function).items()}
    for op in reversed(ops[place:]):
        op.detach()
        op.erase(safe_erase=False)
    block.add_op(ReturnOp(*(named[name] for name in outputs)))
    for op in reversed(ops[:place]):
        if not any(result.first_use for result in op.results):
            op.detach()
            op.erase()
    function.attributes["output_names"] = ArrayAttr(map(StringAttr, outputs))
    function.update_function_type()


def _run(
    module: ModuleOp, precision: Precision, inputs: Mapping[str, Array], fast_functions: bool
) -> dict[str, Array]:
    """The outputs of the CPU reference; an INT8 module is converted in place."""
    if precision is Precision.INT8:
        ConvertUfwToQuantPass(fast_functions=fast_functions).apply(Context(), module)
    function = main_function(module)
    with np.errstate(all="ignore"):
        results = execute(function, inputs, evaluate_whole)
    return dict(zip(names_of(function, "output_names"), results, strict=True))


def _loaded(contents: Mapping[str, bytes], prototxt: str, umodel: str) -> Network:
    """The network of the new files, as a user would load it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in contents.items():
            (folder / file).write_bytes(data)
        return load_network(folder / prototxt, folder / umodel)


def _real(array: Array, value: SSAValue) -> Array:
    """An 8-bit tensor as real numbers."""
    if types.is_float(value) or types.is_index(value):
        return array.astype(np.float32)
    return array * np.float32(types.scale_of(value) or 1.0)
