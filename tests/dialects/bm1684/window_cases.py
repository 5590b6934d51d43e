"""Random instructions with a sliding window."""

from __future__ import annotations

from math import prod

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.arithmetic.products import ORDERED_PRODUCTS
from tests.dialects.bm1684.fields import (
    FLOAT,
    OPD0,
    OPD1,
    OPD2,
    RES0,
    Case,
    Rng,
    at,
    bits,
    pick,
    precisions,
    random_lane,
    random_strides,
    signs,
    stride_fields,
)


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
        products = prod(fields[x] for x in ("res0_n", "res0_c", "res0_h", "res0_w", "opd0_c"))
        products *= kh * kw
        inst = isa.CONV.build(**fields)
        return Case(inst, FLOAT, reordered=products > ORDERED_PRODUCTS)
    wide = pick(rng, 0, 0, 3)
    fields |= {**precisions(0, 0, 3, wide), **signs(rng, 3), "opt_relu": pick(rng, 0, 1),
               "opt_right_shift": pick(rng, 0, 3, 7, 9, 12)}
    return Case(isa.CONV.build(**fields))


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
        fields |= precisions(2, 2, 2, 2)
        return Case(isa.CONV.build(**fields), FLOAT, reordered=True)
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


def weighted_sum(rng: Rng) -> Case:
    """One row of results on an input that is wider than its windows: they meet two tensors, and
    what is between, or behind, is nothing to them. Behind is memory of the lane, too: the simulator
    reads the whole input, and past the last lane there may be nothing."""
    step, columns = pick(rng, 1, 2, 16), pick(rng, 1, 100, 784)
    width = pick(rng, 800, 3200, 4064)
    first = pick(rng, 0, BM1684.lane_bytes - 4 * (step + 1) * width)
    fields = {
        **precisions(0, 0, 3, 0), **signs(rng, 3), "opt_right_shift": pick(rng, 0, 6, 9),
        "opt_relu": pick(rng, 0, 1), "tsk_opd_num": 3,
        "res0_n": pick(rng, 1, 3, 4), "res0_c": pick(rng, 3, 64), "res0_h": 1, "res0_w": columns,
        "opd0_h": 1 + step, "opd0_w": width, "opd1_h": 2, "opd1_w": 1, "opd1_y_ins0": step - 1,
        "res_op_y_str": 1, "res_op_x_str": 1,
        "res0_addr": at(0, RES0), "opd0_addr": at(0, first // 128 * 128),
        "opd1_addr": at(0, OPD2 + 2), "opd2_addr": at(0, OPD2 + 8),
    }  # fmt: skip
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
