"""Random legal instructions of every kind, and memory contents that suit them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Eu, Format, Instruction

Rng = np.random.Generator

FLOAT, INTEGER, POSITIVE = "float", "integer", "positive"
OPD0, OPD1, OPD2, OPD3, RES0, RES1 = 0, 0x14000, 0x3F000, 0x28000, 0x40000, 0x60000
DDR_A = BM1684.context_start + 0x2000
DDR_B = BM1684.context_start + 0x200000
DDR_BYTES = 4 << 20


@dataclass(frozen=True)
class Case:
    """An instruction and what its memories hold: random bytes, moderate floats, or
    positive floats."""

    inst: Instruction
    contents: str = INTEGER


def up(value: int, step: int) -> int:
    return -(-value // step) * step


def pick(rng: Rng, *values: int) -> int:
    return int(rng.choice(values))


def at(lane: int, offset: int) -> int:
    return BM1684.local_address(lane, offset)


def bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def shape_fields(operand: str, shape: tuple[int, ...]) -> dict[str, int]:
    return {f"{operand}_{axis}": size for axis, size in zip("nchw", shape, strict=True)}


def stride_fields(operand: str, strides: tuple[int, ...]) -> dict[str, int]:
    return {f"{operand}_{axis}_str": size for axis, size in zip("nchw", strides, strict=True)}


def precisions(first: int, second: int, third: int, result: int) -> dict[str, int]:
    names = ("opd0", "opd1", "opd2", "res0")
    return {
        f"opt_{name}_prec": value
        for name, value in zip(names, (first, second, third, result), strict=True)
    }


def random_strides(rng: Rng, lane: int, shape: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Strides with gaps."""
    _, c, h, w = shape
    ws = pick(rng, 1, 1, 2)
    hs = ws * w + pick(rng, 0, 3)
    cs = hs * h + pick(rng, 0, 5)
    return (-(-(lane + c) // 64) * cs + pick(rng, 0, 7), cs, hs, ws)


def random_shape(rng: Rng, most: int = 9) -> tuple[int, int, int, int]:
    return (
        pick(rng, 1, 1, 2, 3, 4, 5, 8),
        pick(rng, 1, 3, 10, 64, 66, 70, 130),
        int(rng.integers(1, most)),
        int(rng.integers(1, most)),
    )


def random_lane(rng: Rng) -> int:
    return pick(rng, 0, 0, 0, 5, 63, int(rng.integers(64)))


def window_fields(rng: Rng, spread: bool, most_pad: int = 3) -> dict[str, int]:
    """A window and an input and output that fit it."""
    fields: dict[str, int] = {}
    for axis, xy, pads in (("h", "y", ("up", "dn")), ("w", "x", ("lf", "rt"))):
        kernel, stride = pick(rng, 1, 2, 3, 3, 5), pick(rng, 1, 1, 2, 3)
        dilation = pick(rng, 1, 1, 2) if spread else 1
        insert = pick(rng, 0, 0, 1) if spread else 0
        before, after = (int(rng.integers(0, most_pad + 1)) for _ in range(2))
        size = int(rng.integers(1, 12))
        reach = (kernel - 1) * dilation + 1
        while (size - 1) * (insert + 1) + 1 + before + after < reach:
            size += 1
        padded = (size - 1) * (insert + 1) + 1 + before + after
        fields |= {
            f"opd0_{axis}": size,
            f"opd1_{axis}": kernel,
            f"res0_{axis}": (padded - reach) // stride + 1,
            f"opd0_{pads[0]}_pad": before,
            f"opd0_{pads[1]}_pad": after,
            f"res_op_{xy}_str": stride,
            f"opd0_{xy}_ins0": insert,
            f"opd1_{xy}_ins0": dilation - 1,
        }
    return fields


def conv(rng: Rng, int8: bool) -> Case:
    lane_in, lane = random_lane(rng), random_lane(rng)
    window = window_fields(rng, True)
    n, oc, ic = pick(rng, 1, 2, 4, 5), pick(rng, 1, 5, 64, 66, 70), pick(rng, 1, 3, 4, 9, 33, 65)
    words = -(-ic // (4 if int8 else 2))
    kh, kw = window["opd1_h"], window["opd1_w"]
    fields = {
        **window,
        "res0_n": n, "res0_c": oc, "opd0_c": ic,
        "res0_addr": at(lane, RES0),
        "opd0_addr": at(lane_in, OPD0),
        "opd1_addr": at(lane, OPD1),
        "opd2_addr": at(lane, OPD2),
        "tsk_opd_num": pick(rng, 2, 3),
        "short_opd2_str": pick(rng, 1, 2),
        "opt_kernel_rotate": pick(rng, 0, 0, 1) if int8 else 0,
        "opt_opd1_const": pick(rng, 0, 0, 0, 0, 1),
    }
    if rng.random() < 0.7:
        strides = (1, kh * kw * words, kw * words, words)
        fields |= {"short_opd1_str": 3, **stride_fields("opd1", strides)}
    else:
        fields |= {"short_opd1_str": pick(rng, 0, 1, 2)}
    if rng.random() < 0.4:
        shape = (n, ic, window["opd0_h"], window["opd0_w"])
        strides = random_strides(rng, lane_in, shape)
        fields |= {"short_opd0_str": 3, **stride_fields("opd0", strides)}
    if fields["opt_opd1_const"]:
        fields["opd1_addr"] = int(rng.integers(256)) if int8 else bits(0.25)
    if not int8:
        fields |= {**precisions(2, 2, 2, 2), "opt_res_add": pick(rng, 0, 0, 1)}
        return Case(isa.CONV.build(**fields), FLOAT)
    wide = pick(rng, 0, 0, 3)
    fields |= {**precisions(0, 0, 3, wide), **signs(rng, 3), "opt_relu": pick(rng, 0, 1),
               "opt_right_shift": pick(rng, 0, 3, 7, 9, 12)}
    return Case(isa.CONV.build(**fields))


def signs(rng: Rng, count: int) -> dict[str, int]:
    return {f"opt_opd{i}_sign": pick(rng, 0, 1) for i in range(count)}


def winograd(rng: Rng, int8: bool) -> Case:
    lane_in, lane = random_lane(rng), random_lane(rng)
    pad, h, w = pick(rng, 0, 1), int(rng.integers(2, 11)), int(rng.integers(2, 11))
    oh, ow = h + 2 * pad - 2, w + 2 * pad - 2
    if oh < 1 or ow < 1:
        pad, oh, ow = 1, h, w
    fields = {
        "opt_winograd": 1, "opd1_h": 4, "opd1_w": 4, "short_opd1_str": 1,
        "res0_n": pick(rng, 1, 3, 4, 5), "res0_c": pick(rng, 5, 66), "opd0_c": pick(rng, 4, 9, 33),
        "opd0_h": h, "opd0_w": w, "res0_h": oh, "res0_w": ow,
        "opd0_up_pad": pad, "opd0_dn_pad": pad, "opd0_lf_pad": pad, "opd0_rt_pad": pad,
        "tsk_opd_num": pick(rng, 2, 3),
        "res0_addr": at(lane, RES0), "opd0_addr": at(lane_in, OPD0),
        "opd1_addr": at(lane, OPD1), "opd2_addr": at(lane, OPD2),
    }
    if not int8:
        return Case(isa.CONV.build(**fields, **precisions(2, 2, 2, 2)), FLOAT)
    fields |= {**precisions(0, 0, 3, 0), **signs(rng, 3), "opt_opd1_sign": 1,
               "opt_relu": pick(rng, 0, 1), "opt_right_shift": pick(rng, 8, 10, 12)}
    return Case(isa.CONV.build(**fields))


def pooled(rng: Rng, spread: bool) -> dict[str, int]:
    lane = random_lane(rng)
    return {
        **window_fields(rng, spread),
        "res0_n": pick(rng, 1, 2, 4, 5), "res0_c": pick(rng, 1, 10, 64, 70),
        "res0_addr": at(lane, RES0), "opd0_addr": at(lane, OPD0),
        "opd1_addr": at(lane, OPD1), "opd2_addr": at(lane, OPD2),
    }


def depthwise(rng: Rng, int8: bool) -> Case:
    fields = {**pooled(rng, True), "tsk_opd_num": pick(rng, 2, 3)}
    if not int8:
        return Case(isa.DEPTHWISE.build(**fields, **precisions(2, 2, 2, 2)), FLOAT)
    fields |= {**precisions(0, 0, 3, 0), **signs(rng, 3), "opt_relu": pick(rng, 0, 1),
               "opt_right_shift": pick(rng, 0, 6, 9)}
    return Case(isa.DEPTHWISE.build(**fields))


def average(rng: Rng, int8: bool) -> Case:
    fields = {**pooled(rng, False), "tsk_opd_num": 2, "opt_opd1_const": 1}
    if not int8:
        fields["opd1_addr"] = bits(1 / 9)
        return Case(isa.DEPTHWISE.build(**fields, **precisions(2, 2, 2, 2)), FLOAT)
    fields |= {**precisions(0, 0, 3, 0), **signs(rng, 1), "opt_relu": pick(rng, 0, 1),
               "opt_right_shift": pick(rng, 4, 8, 11), "opd1_addr": 1}
    return Case(isa.DEPTHWISE.build(**fields))


def max_pool(rng: Rng, int8: bool) -> Case:
    fields = pooled(rng, False)
    if not int8:
        return Case(isa.MAX_POOL.build(**fields, **precisions(2, 2, 2, 2)), FLOAT)
    sign = pick(rng, 0, 1)
    fields |= {**precisions(0, 0, 3, 0), "opt_opd0_sign": sign, "opt_opd1_sign": sign}
    return Case(isa.MAX_POOL.build(**fields))


def matmul(rng: Rng, int8: bool) -> Case:
    lane = pick(rng, 0, 0, 5)
    left_width, width = pick(rng, 1, 7, 32), pick(rng, 4, 32, 100)
    columns, sections = pick(rng, 1, 30, 70), pick(rng, 1, 3, 70)
    count = -(-columns // left_width)
    fields = {
        "res0_c": sections, "res0_w": width,
        "opd0_n": pick(rng, 1, 4, 9), "opd0_c": count, "opd0_w": left_width,
        "opd1_w": columns - (count - 1) * left_width,
        "opt_left_tran": pick(rng, 0, 0, 1),
        "tsk_opd_num": pick(rng, 2, 3),
        "res0_addr": at(lane, RES0), "opd0_addr": at(lane, OPD0),
        "opd1_addr": at(lane, OPD1), "opd2_addr": at(lane, OPD2),
        "opt_relu": pick(rng, 0, 1),
    }
    if not int8:
        fields |= {**precisions(2, 2, 2, 2), "opt_res_add": pick(rng, 0, 0, 1)}
        return Case(isa.MATMUL.build(**fields), FLOAT)
    wide = pick(rng, 0, 0, 3)
    fields |= {**precisions(0, 0, 3, wide), **signs(rng, 3), "opt_right_shift": pick(rng, 0, 7)}
    if wide and rng.random() < 0.5:
        fields |= {"opt_res_add": 1, "opt_left_shift": pick(rng, 0, 2), "opt_res_add_sign": 1,
                   "opt_opd0_sign": 1, "opt_opd1_sign": 1, "opt_opd2_sign": 1, "opt_relu": 0,
                   "tsk_opd_num": 2}
    return Case(isa.MATMUL.build(**fields))


def arith_places(rng: Rng, lane: int) -> dict[str, int]:
    return {"res0_addr": at(lane, RES0), "opd0_addr": at(lane, OPD0), "opd1_addr": at(lane, OPD1)}


def arith_strides(rng: Rng, lane: int, shape: tuple[int, int, int, int], one: bool
                  ) -> dict[str, int]:
    fields: dict[str, int] = {}
    for operand in ("res0", "opd0", "opd1"):
        mode = pick(rng, 0, 0, 1, 2, 3, 3)
        strides = list(random_strides(rng, lane, shape))
        if operand == "opd1" or (operand == "opd0" and mode):
            strides = [s if rng.random() < 0.7 or axis == 1 else 0
                       for axis, s in enumerate(strides)]
        if one and operand == "opd1" and rng.random() < 0.5:
            strides[0] = 0
        fields |= {**stride_fields(operand, tuple(strides)), f"short_{operand}_str": mode}
    return fields


def arith_float(rng: Rng) -> Case:
    lane, shape = random_lane(rng), random_shape(rng)
    eu = pick(rng, Eu.MUL, Eu.MAC, Eu.ADD, Eu.SUB, Eu.MAX, Eu.MIN, Eu.DIV, Eu.COPY, Eu.SELECT_GT,
              Eu.SELECT_EQ)
    fields = {
        **arith_places(rng, lane), **shape_fields("res0", shape),
        **arith_strides(rng, lane, shape, False),
        **precisions(2, 2, 2, 2), "tsk_eu_typ": eu,
        "tsk_opd_num": 3 if eu in (Eu.SELECT_GT, Eu.SELECT_EQ) else 2,
        "opt_opd2_const": 1, "opd2_addr": bits(7.5),
    }
    if eu == Eu.DIV or rng.random() < 0.3:
        fields |= {"opt_opd1_const": 1, "opd1_addr": bits(0.37)}
    return Case(isa.ARITH.build(**fields), FLOAT)


def arith_bits(rng: Rng) -> Case:
    lane, shape = random_lane(rng), random_shape(rng)
    eu, precision = pick(rng, Eu.AND, Eu.OR, Eu.XOR, Eu.COPY, Eu.SHIFT), pick(rng, 2, 4)
    fields = {
        **arith_places(rng, lane), **shape_fields("res0", shape),
        **arith_strides(rng, lane, shape, False),
        **precisions(*[precision] * 4), "tsk_eu_typ": eu, "opt_shift_typ": pick(rng, 0, 1),
    }
    if eu == Eu.SHIFT or rng.random() < 0.3:
        amount = int(rng.integers(-31, 32)) if eu == Eu.SHIFT else int(rng.integers(1 << 32))
        fields |= {"opt_opd1_const": 1, "opd1_addr": amount}
    return Case(isa.ARITH.build(**fields))


FIXED = {
    Eu.MUL: ((0, 0, 0), (0, 0, 3)),
    Eu.MAC: ((0, 0, 3),),
    Eu.ADD: ((0, 0, 0), (0, 0, 3), (3, 3, 3), (3, 3, 0)),
    Eu.SUB: ((0, 0, 0), (0, 0, 3), (3, 3, 3), (3, 3, 0)),
    **{eu: ((0, 0, 0), (3, 3, 3)) for eu in (Eu.MAX, Eu.MIN, Eu.AND, Eu.OR, Eu.XOR, Eu.COPY)},
}


def arith_fixed(rng: Rng) -> Case:
    lane, shape = random_lane(rng), random_shape(rng)
    eu = Eu(pick(rng, *FIXED))
    first, second, result = FIXED[eu][int(rng.integers(len(FIXED[eu])))]
    one = rng.random() < 0.3
    fields = {
        **arith_places(rng, lane), **shape_fields("res0", shape),
        **arith_strides(rng, lane, shape, one),
        **precisions(first, second, 2, result), **signs(rng, 2), "opt_opd2_sign": 1,
        "tsk_eu_typ": eu, "opd1_neq1": int(one),
    }
    if eu in (Eu.MAX, Eu.MIN):
        fields["opt_opd1_sign"] = fields["opt_opd0_sign"]
    if eu in (Eu.MUL, Eu.MAC, Eu.ADD, Eu.SUB):
        fields["opt_right_shift"] = pick(rng, 0, 3, 9)
    if eu == Eu.MAC:
        fields["opt_left_shift"] = pick(rng, 0, 2)
        fields["opt_res_add_sign"] = fields["opt_opd0_sign"] | fields["opt_opd1_sign"]
    if eu != Eu.COPY and rng.random() < 0.2:
        fields |= {"opt_opd1_const": 1, "opd1_addr": int(rng.integers(-100, 127)), "opd1_neq1": 0}
    return Case(isa.ARITH.build(**fields))


def lookup(rng: Rng) -> Case:
    lane = random_lane(rng)
    return Case(isa.LOOKUP.build(
        **shape_fields("res0", random_shape(rng)), opt_opd0_prec=pick(rng, 0, 2),
        res0_addr=at(lane, RES0), opd0_addr=at(lane, OPD0),
        opd1_addr=pick(rng, 0, 0x380000, 0x300F00),
    ))


def scalar(rng: Rng) -> Case:
    lane = random_lane(rng)
    eu = pick(rng, Eu.MUL, Eu.ADD, Eu.SUB, Eu.DIV)
    fields = {**arith_places(rng, lane), **shape_fields("res0", random_shape(rng)),
              "tsk_eu_typ": eu}
    if rng.random() < 0.4 or eu == Eu.DIV:
        fields |= {"opt_opd1_const": 1, "opd1_addr": bits(1.7)}
    elif rng.random() < 0.3:
        fields |= {"opt_opd0_const": 1, "opd0_addr": bits(-0.7)}
    return Case(isa.SCALAR.build(**fields), FLOAT)


def sfu(rng: Rng) -> Case:
    lane = random_lane(rng)
    eu = pick(rng, Eu.TAYLOR, Eu.FLOAT_TO_INT, Eu.EXPONENT, Eu.POWER_OF_TWO, Eu.RSQRT)
    fields = {
        **shape_fields("res0", random_shape(rng)), "tsk_eu_typ": eu,
        "res0_addr": at(lane, RES0), "opd0_addr": at(lane, OPD0),
        "opd1_n": pick(rng, 1, 3, 12) if eu == Eu.TAYLOR else 1,
        "opd1_addr": pick(rng, 0x300C00, 0x300D00) if eu == Eu.TAYLOR else 0,
        "opt_res0_prec": 4 if eu in (Eu.FLOAT_TO_INT, Eu.EXPONENT) else 2,
    }
    return Case(isa.SFU.build(**fields), POSITIVE if eu == Eu.RSQRT else FLOAT)


def linear(rng: Rng) -> Case:
    lane = random_lane(rng)
    return Case(isa.LINEAR.build(
        **arith_places(rng, lane), **shape_fields("res0", random_shape(rng)),
        opd2_addr=at(lane, OPD2),
        tsk_eu_typ=pick(rng, Eu.MAC, Eu.SQUARE_SUM, Eu.SQUARE_DIFFERENCE),
    ), FLOAT)


def compare(rng: Rng) -> Case:
    lane, (n, c, h, w) = random_lane(rng), random_shape(rng, 7)
    cs = up(h * w, 32)
    fields = {
        **arith_places(rng, lane), **shape_fields("res0", (n, c, h, w)),
        **stride_fields("opd0", (-(-(lane + c) // 64) * cs, cs, w, 1)),
        "opd2_addr": at(lane, OPD3), "opd3_addr": at(lane, OPD2), "res1_addr": at(lane, RES1),
        "tsk_eu_typ": pick(rng, Eu.COMPARE, Eu.SELECT, Eu.COMPARE_SELECT),
    }
    for operand, value in (("opd1", 0.25), ("opd2", 2), ("opd3", 3)):
        if rng.random() < 0.4:
            fields |= {f"opt_{operand}_const": 1, f"{operand}_addr": bits(value)}
    return Case(isa.COMPARE.build(**fields), FLOAT)


def gdma_fields(prefix: str, kind: str, values: tuple[int, ...]) -> dict[str, int]:
    return {f"{prefix}_{axis}{kind}": v for axis, v in zip("nchw", values, strict=True)}


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
    ), INTEGER if source != Format.FP32 else FLOAT)


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
        )
    },
}
