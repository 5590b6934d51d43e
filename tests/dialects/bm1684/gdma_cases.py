"""Random data moves."""

from __future__ import annotations

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Format
from tests.dialects.bm1684.fields import (
    DDR_A,
    DDR_B,
    FLOAT,
    INTEGER,
    RES0,
    Case,
    Rng,
    at,
    gdma_fields,
    pick,
    random_lane,
    random_shape,
    random_strides,
    up,
)


def gdma_side(rng: Rng, side: str, local: bool, shape: tuple[int, int, int, int], unit: int,
              gaps: bool) -> dict[str, int]:
    """A start address and, with ``gaps``, strides with gaps."""
    lane = random_lane(rng)
    if local:
        address = at(lane, 0x1000 if side == "src" else RES0) + unit * pick(rng, 0, 1)
        strides = random_strides(rng, lane, shape)
    else:
        address = (DDR_A if side == "src" else DDR_B) + unit * pick(rng, 0, 3)
        _, c, h, w = shape
        hs = w + pick(rng, 0, 5)
        strides = (c * h * hs, h * hs, hs, 1)
    fields = {**isa.start(side, address)}
    return {**fields, **gdma_fields(side, "stride", strides)} if gaps else fields


def move(rng: Rng) -> Case:
    shape = random_shape(rng)
    n, c, h, w = shape
    form, direction = Format(pick(rng, 0, 1, 2, 3, 4)), isa.Direction(pick(rng, 0, 1, 2, 3))
    gaps, chw = direction == 2 or rng.random() < 0.7, pick(rng, 0, 1)
    target = shape
    if not chw and rng.random() < 0.3:
        target = (1, n * c, 1, h * w)
    fields = {
        **gdma_fields("src", "size", shape), **gdma_fields("dst", "size", target),
        **gdma_side(rng, "src", direction.from_local, shape, form.nbytes, gaps),
        **gdma_side(rng, "dst", direction.to_local, target, form.nbytes, gaps),
        "src_data_format": form, "dst_data_format": form, "direction": direction,
        "stride_enable": int(gaps), "chw_copy": chw,
    }
    if rng.random() < 0.2:
        fields |= {"localmem_mask_l32": int(rng.integers(1 << 32)),
                   "localmem_mask_h32": int(rng.integers(1 << 32))}
    if form == Format.FP32 and rng.random() < 0.2:
        return Case(isa.MOVE.build(**fields, acc_write_enable=1), FLOAT)
    return Case(isa.MOVE.build(**fields))


def shifted_move(rng: Rng) -> Case:
    """Nearest upsampling by index shifts on the source."""
    n, c, h, w = random_shape(rng)
    lane = random_lane(rng)
    fields = {
        **gdma_fields("src", "size", (n, c, h, w)), **gdma_fields("dst", "size", (n, c, h, w)),
        **gdma_fields("src", "stride", (c * h * 16, h * 16, 16, 1)),
        **gdma_fields("dst", "stride", (-(-(lane + c) // 64) * h * w, h * w, w, 1)),
        **isa.start("src", DDR_A), **isa.start("dst", at(lane, RES0)),
        "src_wshift": pick(rng, 0, 1, 2), "src_hshift": pick(rng, 0, 1), "chw_copy": 1,
    }
    return Case(isa.MOVE.build(**fields))


def convert(rng: Rng) -> Case:
    shape = random_shape(rng)
    pairs = ((0, 3), (0, 2), (3, 0), (2, 0), (0, 4), (4, 0), (4, 3), (3, 4), (2, 4), (4, 2))
    source, target = (Format(f) for f in pairs[int(rng.integers(len(pairs)))])
    direction = isa.Direction(pick(rng, 0, 1, 2, 3))
    return Case(isa.CONVERT.build(
        **gdma_fields("src", "size", shape), **gdma_fields("dst", "size", shape),
        **gdma_side(rng, "src", direction.from_local, shape, source.nbytes, True),
        **gdma_side(rng, "dst", direction.to_local, shape, target.nbytes, True),
        src_data_format=source, dst_data_format=target, direction=direction, chw_copy=1,
    ), INTEGER if source != Format.FP32 else FLOAT, exact=True)


def fill(rng: Rng) -> Case:
    shape, form = random_shape(rng), Format(pick(rng, 0, 1, 2, 3, 4))
    chw, direction = pick(rng, 0, 1), isa.Direction(pick(rng, 0, 2, 3))
    return Case(isa.FILL.build(
        **gdma_fields("src" if chw else "dst", "size", shape),
        **gdma_side(rng, "dst", direction.to_local, shape, form.nbytes, True),
        src_data_format=form, dst_data_format=form, direction=direction, chw_copy=chw,
        constant_value=int(rng.integers(1 << 32)),
    ))


def transpose_nc(rng: Rng) -> Case:
    n, c, h, w = random_shape(rng)
    form, direction = Format(pick(rng, 0, 1, 3)), isa.Direction(pick(rng, 0, 1, 2, 3))
    return Case(isa.TRANSPOSE_NC.build(
        **gdma_fields("src", "size", (n, c, h, w)), **gdma_fields("dst", "size", (c, n, h, w)),
        **gdma_side(rng, "src", direction.from_local, (n, c, h, w), form.nbytes, True),
        **gdma_side(rng, "dst", direction.to_local, (c, n, h, w), form.nbytes, True),
        src_data_format=form, dst_data_format=form, direction=direction, chw_copy=pick(rng, 0, 1),
    ))


def transpose_cw(rng: Rng) -> Case:
    c, w = int(rng.integers(1, 100)), int(rng.integers(1, 100))
    form = Format(pick(rng, 0, 3))
    unit = 128 // form.nbytes
    source = (-(-c // 64) * up(w, unit), up(w, unit), w, 1)
    target = (-(-w // 64) * up(c, unit), up(c, unit), c, 1)
    return Case(isa.TRANSPOSE_CW.build(
        **gdma_fields("src", "size", (1, c, 1, w)), **gdma_fields("dst", "size", (1, w, 1, c)),
        **gdma_fields("src", "stride", source), **gdma_fields("dst", "stride", target),
        **isa.start("src", at(0, 0x1000)), **isa.start("dst", at(0, RES0)),
        src_data_format=form, dst_data_format=form,
    ))


def copy_linear(rng: Rng) -> Case:
    form = Format(pick(rng, 0, 2, 3))
    target = pick(rng, DDR_B, BM1684.l2_base + 0x1000)
    return Case(isa.COPY_LINEAR.build(
        src_nstride=int(rng.integers(1, 5000)), src_data_format=form, dst_data_format=form,
        **isa.start("src", DDR_A + form.nbytes * pick(rng, 0, 1)), **isa.start("dst", target),
    ))


def matrix(rng: Rng) -> Case:
    lane, direction = random_lane(rng), isa.Direction(pick(rng, 0, 1))
    form = Format(pick(rng, 0, 1, 3))
    rows, columns, section = pick(rng, 1, 20, 37), pick(rng, 5, 70, 133), pick(rng, 1, 4, 16, 128)
    transposed = pick(rng, 0, 1)
    own_rows, own_columns = (columns, rows) if transposed else (rows, columns)
    count = -(-own_columns // section)
    cs = section + pick(rng, 0, 3)
    ns = -(-(lane + count) // 64) * cs + pick(rng, 0, 5)
    load = direction == isa.Direction.SYSTEM_TO_LOCAL
    system, local = ("src", "dst") if load else ("dst", "src")
    return Case(isa.MATRIX.build(
        **gdma_fields(system, "size", (1, 1, rows, columns)),
        **gdma_fields(local, "size", (own_rows, count, 1, section)),
        **gdma_fields(system, "stride", (0, 0, columns + pick(rng, 0, 9), 1)),
        **gdma_fields(local, "stride", (ns, cs, cs, 1)),
        **isa.start(system, DDR_A), **isa.start(local, at(lane, 0x2000)),
        src_data_format=form, dst_data_format=form, direction=direction,
        special_func=transposed, stride_enable=pick(rng, 0, 1),
    ))
