"""Random matrix products and pointwise instructions."""

from __future__ import annotations

from dialects.bm1684 import isa
from dialects.bm1684.isa import Eu
from dialects.bm1684.model.arithmetic.products import ORDERED_PRODUCTS
from tests.dialects.bm1684.fields import (
    FLOAT,
    OPD0,
    OPD1,
    OPD2,
    OPD3,
    POSITIVE,
    RES0,
    RES1,
    Case,
    Rng,
    at,
    bits,
    pick,
    precisions,
    random_lane,
    random_shape,
    random_strides,
    shape_fields,
    signs,
    stride_fields,
    up,
)


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
        products = fields["opd0_n"] * columns * sections * width
        return Case(isa.MATMUL.build(**fields), FLOAT, reordered=products > ORDERED_PRODUCTS)
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
    if rng.random() < 0.4:
        fields |= {"opt_opd1_const": 1, "opd1_addr": bits(float(rng.choice((1.7, -0.3, 1e-30))))}
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
    exact = eu in (Eu.FLOAT_TO_INT, Eu.EXPONENT, Eu.POWER_OF_TWO)
    return Case(isa.SFU.build(**fields), POSITIVE if eu == Eu.RSQRT else FLOAT, exact)


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
