"""Random networks with host layers between those of the NPU."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Region, SSAValue

from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.host.detection import DetectionOutputOp
from dialects.host.selection import GatherElementsOp
from dialects.host.sorting import TopKOp
from dialects.host.yolo import YoloActivationOp
from dialects.quant import types
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import Top
from tests.net_maker import NetMaker

CLASSES = 3


class HostMaker(NetMaker):
    """Adds host layers to a random network. Their results have scales, so that 8-bit layers can
    read them."""

    def host_top(self) -> Top:
        self.count += 1
        scale = ScaleAttr.of(self.rng.choice([0.01, 0.02])) if self.integer else None
        return Top(f"host{self.count}", scale=scale)

    def source(self) -> SSAValue:
        """A value that any layer may have made, the network's inputs too."""
        return self.rng.choice(self.values[-5:] + list(self.block.args))

    def activation_on_host(self) -> None:
        x = self.source()
        shape = types.shape_of(x)
        if len(shape) != 4 or shape[1] < 5:
            return
        parameters = {"classes": shape[1] - 5, "num": 1}
        self.add(YoloActivationOp([x], [self.host_top()], parameters))

    def detection(self) -> None:
        """Boxes around the pixels of a tensor: locations and scores are cut out of it. Thresholds
        are such that rounding decides nothing: all boxes above the score stay."""
        x = self.source()
        shape = types.shape_of(x)
        batch, size = shape[0], int(np.prod(shape[1:]))
        boxes = min(size // 4, 12)
        if boxes < 1 or size < boxes * CLASSES:
            return
        self.island = True
        flat = self._made(ufw.ReshapeOp(x, self.top(like=x), (batch, size)))
        loc, conf = (self._first(flat, boxes * count) for count in (4, CLASSES))
        corners = self.data.random((boxes, 2)).astype(np.float32)
        prior = np.stack([
            np.concatenate([corners, corners + 0.1], axis=1).reshape(-1),
            np.full(boxes * 4, 0.01),
        ])[None].astype(np.float32)  # fmt: skip
        priors = self._made(ufw.ParameterOp(Top(f"prior{self.count}"), prior))
        parameters = {
            "num_classes": CLASSES, "share_location": True, "background_label_id": 0,
            "nms_threshold": 1.0, "top_k": -1, "code_type": self.rng.choice([1, 2, 3]),
            "keep_top_k": -1, "confidence_threshold": self.rng.choice([-100.0, 1000.0]),
            "num_priors": boxes, "num_loc_classes": 1, "variance_encoded_in_target": False,
            "eta": 1.0, "objectness_score": 0.0,
        }  # fmt: skip
        self.add(DetectionOutputOp([loc, conf, priors], [self.host_top()], parameters))

    def elements_by_place(self) -> None:
        """The largest numbers of an input of the network, and what stands at their places: as
        integers from host to host, and as floats between."""
        x = self.rng.choice(list(self.block.args))
        shape = types.shape_of(x)
        axis = self.rng.randrange(len(shape))
        parameters = {
            "k": self.rng.randint(1, shape[axis]), "axis": axis, "sorted": True,
            "descending": True, "values_used_only": False,
        }  # fmt: skip
        self.island = True
        places = TopKOp([x], [self.host_top(), self.host_top()], parameters)
        self.add(places)
        self.values.remove(places.results[1])
        real = self._made(ufw.CastOp(places.results[1], self.top(floating=True), False))
        again = ufw.CastOp(real, Top(f"places{self.count}"), True)
        self.block.add_op(again)
        indices = self.rng.choice([places.results[1], again.top])
        self.add(GatherElementsOp([x, indices], [self.host_top()], {"axis": axis}))

    def prior_box(self) -> None:
        """Boxes around the pixels of a map, which are one constant."""
        x = self.source()
        if len(types.shape_of(x)) != 4:
            return
        sizes = [float(self.rng.choice([2, 5, 30])) for _ in range(self.rng.choice([1, 2]))]
        self.count += 1
        top, clip = Top(f"boxes{self.count}"), self.rng.random() < 0.5
        variance = [0.1, 0.1, 0.2, 0.2]
        self.add(ufw.PriorBoxOp([x], top, sizes, sizes, variance, image=(40, 60), clip=clip))

    def _first(self, flat: SSAValue, count: int) -> SSAValue:
        """The first numbers of each image."""
        size = types.shape_of(flat)[1]
        if size == count:
            return flat
        tops = [self.top(like=flat), self.top(like=flat)]
        return self._made(ufw.SliceOp(flat, tops, [count, size - count]))

    def _made(self, op: ufw.LayerOp) -> SSAValue:
        self.add(op)
        return op.results[0]


def random_host_module(seed: int, integer: bool, layers: int = 9) -> ModuleOp:
    """A module in which host layers stand between layers of the NPU. Some tensors that layers read
    are outputs too, those of host layers among them; inputs are read by both kinds."""
    rng = Random(seed)
    net = HostMaker(rng, integer)
    shape = rng.choice([1, 2, 5]), rng.choice([5, 8, 9]), rng.choice([4, 7]), rng.choice([3, 8])
    for i in range(rng.choice([1, 2])):
        kind = types.int_tensor(shape, 0.02, False) if integer and i else types.float_tensor(shape)
        if integer and not i:
            kind = Top("", scale=ScaleAttr.of(0.02)).type(shape)
        net.values.append(net.block.insert_arg(kind, i))
    while net.count < layers or not any(isinstance(op, HostOp) for op in net.block.ops):
        makers: list[Callable[[], None]] = [
            net.activation_on_host, net.activation_on_host, net.detection, net.prior_box,
            net.elements_by_place,
            net.convolution, net.pooling, net.activation, net.eltwise, rng.choice(net.layers()),
        ]  # fmt: skip
        net.island = False
        rng.choice(makers)()
    return _finished(net)


def _finished(net: HostMaker) -> ModuleOp:
    """The module; what nobody reads is an output, and a third of the other tensors."""
    outputs = {
        name: value
        for op in net.block.ops
        for name, value in zip(names_of(op, "tops"), op.results, strict=True)
        if value.first_use is None or net.rng.random() < 0.3
    }
    net.block.add_op(ReturnOp(*outputs.values()))
    args = [arg.type for arg in net.block.args]
    kinds = FunctionType.from_lists(args, [value.type for value in outputs.values()])
    function = FuncOp("main", kinds, Region(net.block))
    names = [StringAttr(f"in{i}") for i in range(len(args))]
    function.attributes["input_names"] = ArrayAttr(names)
    function.attributes["output_names"] = ArrayAttr([StringAttr(name) for name in outputs])
    module = ModuleOp([function])
    module.verify()
    return module
