"""An INT8 net on the CPU: the exact integers that the NPU computes, real numbers in and out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from bmnetu.calibration.run.portable import PortableFunction
from dialects.constant import Array
from dialects.execute import Observe, execute
from dialects.meaning import evaluate_whole
from dialects.quant import types
from dialects.quant.arithmetic import quantize
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function, names


class Int8Net:
    """The integer arithmetic of a loaded INT8 net, with ``fast_functions`` that of a bmodel with
    such. The module is converted in place.

    It can be pickled.
    """

    def __init__(self, module: ModuleOp, fast_functions: bool = False) -> None:
        ConvertUfwToQuantPass(fast_functions=fast_functions).apply(Context(), module)
        self.__setstate__(PortableFunction(main_function(module)))

    def __getstate__(self) -> PortableFunction:
        return PortableFunction(self.function)

    def __setstate__(self, portable: PortableFunction) -> None:
        self.function = portable.function
        self.output_names = names(self.function, "output_names")
        last = self.function.body.block.last_op
        assert last is not None
        self._results = tuple(last.operands)

    def run(self, inputs: Mapping[str, Array], observe: Observe | None = None) -> dict[str, Array]:
        """The outputs of one batch of real inputs, by name, as real numbers.

        ``observe`` gets every tensor as it is held: integers, or floats in a float island. Raises
        :class:`dialects.execute.ExecutionError` when an input is missing or has another shape.
        """
        found = execute(self.function, self.held(inputs), evaluate_whole, observe)
        results = (real(array, value) for array, value in zip(found, self._results, strict=True))
        return dict(zip(self.output_names, results, strict=True))

    def held(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Real inputs as the net's inputs hold them."""
        args = dict(
            zip(names(self.function, "input_names"), self.function.body.block.args, strict=True)
        )
        return {name: held(inputs[name], arg) for name, arg in args.items() if name in inputs}


def held(array: Array, value: SSAValue) -> Array:
    """Real numbers as a value holds them: 8-bit integers, or as they are where it has none."""
    if _is_real(value):
        return array
    return quantize(array, types.scale_of(value) or 1.0, types.dtype_of(value))


def real(array: Array, value: SSAValue) -> Array:
    """An 8-bit tensor as real numbers, float32; a float or int32 one as it is."""
    return array if _is_real(value) else array * np.float32(types.scale_of(value) or 1.0)


def _is_real(value: SSAValue) -> bool:
    return types.is_float(value) or types.is_index(value)
