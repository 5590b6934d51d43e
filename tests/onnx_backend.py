"""Counts how ONNX's own backend tests fare: ``python -m tests.onnx_backend``.

Each test is compiled as it is, then with the inputs that are no floats as constants, then with all
inputs but the first as constants, until one form compiles. What the NPU model computes on the
test's inputs is compared with the test's outputs; the compare runs on made-up inputs too.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

import bmnetu
from bmnetu.errors import BmnetuError, CompareError, InputFileError
from bmnetu.frontend import load_network
from passes.module.functions import main_function, names

Array = NDArray[Any]

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
ON_DISK = ("pytorch-converted", "pytorch-operator", "simple")
OPERATORS = set(
    "Abs Add AveragePool BatchNormalization Cast Ceil Celu Clip Concat Conv ConvTranspose"
    " DepthToSpace Div Dropout Elu Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool"
    " GlobalMaxPool GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN"
    " LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mish"
    " Mul Neg PRelu Pad Pow Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu"
    " Reshape Resize Round Selu Sigmoid Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt"
    " Squeeze Sub Sum Swish Tanh ThresholdedRelu Tile Transpose Unsqueeze Upsample"
    " MeanVarianceNormalization Expand Where GridSample ReduceSumSquare LpPool GlobalLpPool ArgMax"
    " DeformConv Einsum Sin Cos TopK RMSNormalization"
    " GRU LSTM RNN GatherElements GatherND NonMaxSuppression RoiAlign ScatterElements ScatterND"
    " Constant ConstantOfShape Shape Size Range Equal Less Greater Not And Or CastLike Mod".split()
)
"""Operators that are, or may be one day, layers; and those that compute shapes."""
OTHER_NAMES = (
    "int4", "int8", "int16", "int32", "int64", "int2", "uint", "float16", "float8", "float4",
    "e4m3", "e5m2", "e8m0", "double", "string", "bool", "complex", "training", "random", "sequence",
    "optional", "quant",
)  # fmt: skip
TOLERANCE = 1e-3

EQUAL, REFUSED, FAULTY, WRONG, COMPARE, CRASH = OUTCOMES = (
    "equal", "refused", "called faulty", "wrong", "false compare error", "crash"
)  # fmt: skip
GOOD = (EQUAL, REFUSED)


@dataclass(frozen=True)
class Case:
    """A test: its model, and one set of inputs and outputs by name."""

    name: str
    model: ModelProto
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    @property
    def chosen(self) -> bool:
        """Whether it is one of those that count."""
        graph, name = self.model.graph, self.name.lower()
        expected = {node.op_type for node in graph.node} <= OPERATORS
        floats = any(array.dtype == np.float32 for array in self.inputs.values())
        made = all(str(array.dtype) in ("float32", "int64") for array in self.outputs.values())
        return expected and floats and made and not any(word in name for word in OTHER_NAMES)

    def forms(self) -> Iterator[ModelProto]:
        """The model, and what it is with some of its inputs as constants."""
        yield self.model
        others = [name for name, array in self.inputs.items() if array.dtype != np.float32]
        for fixed in (others, list(self.inputs)[1:]):
            if fixed:
                yield self._with_constants(fixed)

    def _with_constants(self, fixed: Sequence[str]) -> ModelProto:
        model = ModelProto()
        model.CopyFrom(self.model)
        kept = [value for value in model.graph.input if value.name not in fixed]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        tensors = [numpy_helper.from_array(self.inputs[name], name) for name in fixed]
        model.graph.initializer.extend(tensors)
        return model


def _case(name: str, model: ModelProto, inputs: Sequence[Any], outputs: Sequence[Any]) -> Case:
    """Lists, of sequences, are left out: no case with them is chosen."""
    given = {tensor.name for tensor in model.graph.initializer}
    read = [value.name for value in model.graph.input if value.name not in given]
    if len(read) != len(inputs):
        read = [value.name for value in model.graph.input]
    made = [value.name for value in model.graph.output]
    return Case(name, model, _arrays(read, inputs), _arrays(made, outputs))


def _arrays(keys: Sequence[str], values: Sequence[Any]) -> dict[str, Array]:
    return {
        key: np.asarray(value if not isinstance(value, (list, dict)) else "other")
        for key, value in zip(keys, values, strict=False)
        if value is not None
    }


def cases() -> Iterator[Case]:
    """The tests of the installed onnx package, in memory and on disk, that count."""
    with np.errstate(all="ignore"):
        yield from (case for case in (*_in_memory(), *_on_disk()) if case.chosen)


def _in_memory() -> Iterator[Case]:
    import warnings

    from onnx.backend.test import loader

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = loader.load_node_model_tests()
    for test in found:
        if test.model is not None and test.data_sets:
            inputs, outputs = test.data_sets[0]
            yield _case(test.name, test.model, inputs, outputs)


def _on_disk() -> Iterator[Case]:
    for folder in sorted(path for kind in ON_DISK for path in (DATA / kind).glob("test_*")):
        model = ModelProto.FromString((folder / "model.onnx").read_bytes())
        data = folder / "test_data_set_0"
        inputs, outputs = (
            [_stored(data / f"{what}_{i}.pb") for i in range(len(list(data.glob(f"{what}_*.pb"))))]
            for what in ("input", "output")
        )
        yield _case(f"{folder.parent.name}/{folder.name}", model, inputs, outputs)


def _stored(path: Path) -> Any:
    try:
        return numpy_helper.to_array(TensorProto.FromString(path.read_bytes()))
    except Exception:  # another message: a sequence
        return []


def tried(case: Case, opt: int) -> tuple[str, str]:
    """The outcome of a case, and what was said."""
    outcome, said = REFUSED, ""
    for model in case.forms():
        with TemporaryDirectory() as folder:
            outcome, said = _compiled(case, model, Path(folder), opt)
        if outcome != REFUSED:
            break
    return outcome, said


def _compiled(case: Case, model: ModelProto, folder: Path, opt: int) -> tuple[str, str]:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    try:
        read = names(main_function(load_network(path, None).module), "input_names")
        data = {name: case.inputs[name] for name in read}
        result = bmnetu.compile(path, None, folder / "out", opt=opt, cmp_data=data)
        assert result.findings is not None
        assert result.contents is not None
        noise = bmnetu.verify(result.contents, result.module)
    except CompareError as error:
        return COMPARE, error.message
    except InputFileError as error:
        return FAULTY, error.message
    except BmnetuError as error:
        return (CRASH if error.exit_code == 70 else REFUSED), error.message
    except Exception as error:  # what no user may see
        return CRASH, f"{type(error).__name__}: {error}"
    if not noise.ok:
        return COMPARE, noise.verdict()
    return _judged(case.outputs, result.findings.outputs)


def _judged(expected: Mapping[str, Array], found: Mapping[str, Array]) -> tuple[str, str]:
    for name, array in expected.items():
        if name not in found or found[name].shape != array.shape:
            return WRONG, f'output "{name}" is missing or has another shape'
        gap = np.abs(found[name].astype(np.float64) - array) / np.maximum(1, np.abs(array))
        worst = float(np.max(gap, initial=0, where=np.isfinite(array)))
        if not worst <= TOLERANCE:
            return WRONG, f'output "{name}" differs by {worst:g}'
    return EQUAL, ""


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opt", type=int, default=1, help="the opt level")
    parser.add_argument("-k", default="", help="only names that contain this")
    parser.add_argument("--refused", action="store_true", help="say why tests are refused")
    given = parser.parse_args(words)
    counts: Counter[str] = Counter()
    for case in cases():
        if cast(str, given.k) not in case.name:
            continue
        outcome, said = tried(case, cast(int, given.opt))
        counts[outcome] += 1
        if outcome not in GOOD or (outcome == REFUSED and given.refused):
            print(f"{outcome}: {case.name}: {said}", flush=True)
    print(f"{counts.total()} tests: " + ", ".join(f"{counts[each]} {each}" for each in OUTCOMES))
    return int(any(counts[each] for each in OUTCOMES if each not in GOOD))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
