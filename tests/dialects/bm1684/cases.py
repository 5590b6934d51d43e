"""Random legal instructions of every kind, and memory contents that suit them."""

from __future__ import annotations

from collections.abc import Callable

from tests.dialects.bm1684.fields import Case, Rng
from tests.dialects.bm1684.gdma_cases import (
    convert,
    copy_linear,
    fill,
    matrix,
    move,
    shifted_move,
    transpose_cw,
    transpose_nc,
)
from tests.dialects.bm1684.pointwise_cases import (
    arith_bits,
    arith_fixed,
    arith_float,
    compare,
    linear,
    lookup,
    matmul,
    scalar,
    sfu,
)
from tests.dialects.bm1684.window_cases import (
    average,
    conv,
    depthwise,
    max_pool,
    weighted_sum,
    winograd,
)

GENERATORS: dict[str, Callable[[Rng], Case]] = {
    **{
        f"{function.__name__}_{name}": lambda rng, function=function, int8=int8: function(rng, int8)
        for function in (conv, winograd, depthwise, average, max_pool, matmul)
        for name, int8 in (("int8", True), ("fp32", False))
    },
    **{
        function.__name__: function
        for function in (
            arith_float, arith_bits, arith_fixed, lookup, scalar, sfu, linear, compare, move,
            shifted_move, convert, fill, transpose_nc, transpose_cw, copy_linear, matrix,
            weighted_sum,
        )
    },
}
