"""Poolings of regions, as the host library computes them and layers of the NPU around it."""

from __future__ import annotations

from bmnetu.frontend.ufw_pb2 import LayerParameter, PoolingParameter

NOTHING = -1e38
"""Below this a bin of the host library's pooling stands for one outside of the map."""


def without_defects(param: LayerParameter) -> list[LayerParameter]:
    """The layer, or those that compute a ROIPooling or a PSROIPooling as Caffe means it.

    ROIPooling: the host library has the lowest float where a bin is outside of the map;
    ``NAME/bins`` pools, and NAME has 0 there. PSROIPooling: NAME takes samples at the corners of
    cells, where Caffe takes whole cells; ``NAME/cells`` puts the mean of the cells around it on
    each corner.
    """
    if len(param.bottom) != 2 or len(param.top) != 1:
        return [param]  # its importer refuses it
    name = param.name
    if param.type == "ROIPooling":
        bins = LayerParameter()
        bins.CopyFrom(param)
        bins.name = f"{name}/bins"
        bins.top[:] = [bins.name]
        found = LayerParameter(
            name=name, type="ComposedFunction", bottom=[bins.name], top=param.top,
            forward_with_float=True,
        )  # fmt: skip
        text = f"_map = gt(x, {NOTHING}); mul(x, _map)"
        found.composed_function_param.function = text
        return [bins, found]
    if param.type == "PSROIPooling":
        cells = LayerParameter(
            name=f"{name}/cells", type="Pooling", bottom=[param.bottom[0]], top=[f"{name}/cells"]
        )
        settings = cells.pooling_param
        settings.pool = PoolingParameter.AVE_EXC_PAD
        settings.kernel_size, settings.stride, settings.pad = 2, 1, 1
        last = LayerParameter()
        last.CopyFrom(param)
        last.bottom[0] = cells.name
        return [cells, last]
    return [param]
