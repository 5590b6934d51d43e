"""DenseBlock: one layer that stands for many, as the layers that it computes."""

from __future__ import annotations

from collections.abc import Iterator

from bmnetu.frontend.ufw_pb2 import DenseBlockParameter, LayerParameter

BOTTLENECK = 4
"""With ``use_BC``, a 1x1 convolution of so many times the growth rate stands before the 3x3 one."""
MOST_TRANSITIONS = 1000
EPS = 1e-5


def without_blocks(param: LayerParameter) -> list[LayerParameter]:
    """The layer, or those of a DenseBlock: ``numTransition`` times BatchNorm, Scale, ReLU and
    Convolution, whose result a Concat joins to all before it.

    They are called ``NAME/0/bn``, ``NAME/0/scale``, ``NAME/0/relu``, ``NAME/0/conv``,
    ``NAME/0/concat`` ...; the last Concat makes the block's top.
    """
    plain = len(param.bottom) == len(param.top) == 1
    if param.type != "DenseBlock" or not plain:
        return [param]
    if not 1 <= param.denseblock_param.numTransition <= MOST_TRANSITIONS:
        return [param]  # its importer refuses it
    return list(_layers(param))


def _layers(param: LayerParameter) -> Iterator[LayerParameter]:
    block, bottom = param.denseblock_param, param.bottom[0]
    count = block.numTransition
    for i in range(count):
        name = f"{param.name}/{i}"
        values = bottom
        if block.use_BC:
            yield from _normalised(f"{name}/bottleneck_", values)
            values = f"{name}/bottleneck"
            yield _convolution(f"{name}/bottleneck_", values, block, 1)
        yield from _normalised(f"{name}/", values)
        yield _convolution(f"{name}/", f"{name}/grown", block, 3)
        top = param.top[0] if i == count - 1 else f"{name}/concat"
        yield LayerParameter(
            name=f"{name}/concat", type="Concat", bottom=[bottom, f"{name}/grown"], top=[top]
        )
        bottom = top


def _normalised(name: str, bottom: str) -> Iterator[LayerParameter]:
    top = f"{name}bn"
    norm = LayerParameter(name=top, type="BatchNorm", bottom=[bottom], top=[top])
    norm.batch_norm_param.eps = EPS
    yield norm
    scale = LayerParameter(name=f"{name}scale", type="Scale", bottom=[top], top=[top])
    scale.scale_param.bias_term = True
    yield scale
    yield LayerParameter(name=f"{name}relu", type="ReLU", bottom=[top], top=[top])


def _convolution(
    name: str, top: str, block: DenseBlockParameter, kernel: int
) -> LayerParameter:
    layer = LayerParameter(name=f"{name}conv", type="Convolution", bottom=[f"{name}bn"], top=[top])
    conv = layer.convolution_param
    conv.num_output = block.growthRate * (BOTTLENECK if kernel == 1 else 1)
    conv.bias_term = False
    if kernel == 1:
        conv.kernel_size.append(1)
        return layer
    conv.kernel_h, conv.kernel_w = block.filter_H, block.filter_W
    conv.pad_h, conv.pad_w = block.pad_h, block.pad_w
    conv.stride_h, conv.stride_w = block.conv_verticalStride, block.conv_horizentalStride
    return layer
