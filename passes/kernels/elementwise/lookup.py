"""Any function of one byte: a chain of commands where that gives all its results, else a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, i32, si16
from dialects.quant import compute, types
from passes.kernels.builder import TileBuilder
from passes.kernels.elementwise.piecewise import Chain, chain_for, table_cycles
from passes.kernels.flat import Chunk, Flat, in_bands
from passes.kernels.pointwise import narrow


def _emit_chain(
    chain: Chain, element: Attribute
) -> Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue]:
    """Computes a piecewise linear function in 16 bits."""

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        b, (x,) = flat.b, xs
        y, wide = flat.local(chunk, element), flat.local(chunk, si16)
        part = flat.local(chunk, Ref.of(x).element)
        b.arith("mul", wide, x, chain.slope)
        for term in chain.terms:
            b.arith(term.kind, part, x, term.knot, signed=Ref.of(x).is_signed)
            b.arith("mac", wide, part, term.factor)
        if Ref.of(y).is_signed:
            return b.arith("add", y, wide, chain.addend, chain.shift)
        b.arith("add", wide, wide, chain.addend)
        return narrow(b, wide, y, chain.shift)

    return emit


def lower_lookup(
    b: TileBuilder, op: compute.LookupOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A 256-entry table, byte by byte: image k's byte is isolated, looked up in the table of ``f
    << 8k``. A chain of commands on all bytes at once instead, where there is a shorter one.
    """
    (source,) = sources
    images = min(types.shape_of(op.x)[0], BM1684.int8_images_per_word)
    chain = chain_for(op.table.array, Ref.of(source), Ref.of(dest), images)
    if chain is not None:
        element = types.tensor_type(op.y).element_type
        cycles = chain.cycles(not Ref.of(dest).is_signed)
        in_bands(b, [source], dest, 5, cycles, _emit_chain(chain, element))
        return
    table = op.table.array.astype(np.uint32)

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        words = b.words(xs[0])
        result = b.words(flat.local(chunk, i32))
        index, part = flat.local(chunk, i32), flat.local(chunk, i32)
        for k in range(flat.images):
            at = words
            if k:
                at = b.arith("shift", index, at, -8 * k)
            if k < 3:
                at = b.arith("and", index, at, 255)
            found = b.lookup(part if k else result, at, b.table(table << np.uint32(8 * k)))
            if k:
                b.arith("or", result, result, found)
        return result

    in_bands(b, [source], dest, 4, table_cycles(images), emit)
