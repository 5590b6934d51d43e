"""The int8umodel of a quantised net and its prototxt."""

from __future__ import annotations

from bmnetu.calibration.int8.quantized_net import QuantizedNet
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.coefficients import IntegerCoefficients
from bmnetu.frontend.layers.importers import messages_of
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES
from bmnetu.frontend.ufw_pb2 import ActivationScale, LayerParameter, NetParameter
from bmnetu.frontend.weights.blobs import float_blob, integer_blob
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED
from dialects.ufw import ops
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import LayerOp


def int8_message(net: FloatNet, quantized: QuantizedNet) -> NetParameter:
    """The net's message with unique tops, without folded layers, with integer blobs, activation
    records and int8_scale."""
    result = NetParameter()
    result.CopyFrom(net.message)
    del result.layer[:]
    result.layer.extend(layer for layer in net.message.layer if layer.type in INPUT_TYPES)
    result.layer.extend(_layer(op, param, net, quantized) for op, param in net.layers.items())
    for value, name in net.names.items():
        numbers = quantized.numbers[value]
        result.activation.append(
            ActivationScale(
                blob=name,
                threshold=numbers.threshold,
                is_unsigned=numbers.unsigned,
                is_float=numbers.is_float,
            )
        )
    first = next(iter(net.inputs.values()))
    result.int8_scale = FULL_SCALE_SIGNED / quantized.numbers[first].threshold
    return result


def _layer(
    op: LayerOp, param: LayerParameter, net: FloatNet, quantized: QuantizedNet
) -> LayerParameter:
    """A layer's message: where it stands after folding, its settings and its blobs."""
    layer = LayerParameter()
    layer.CopyFrom(param)
    del layer.bottom[:], layer.top[:]
    layer.bottom.extend(net.names[value] for value in op.operands)
    layer.top.extend(op.top_names)
    found = quantized.coefficients.get(op)
    match op:
        case WeightedLayerOp():
            for message in messages_of(layer.type):
                settings = getattr(layer, message, None)
                if settings is not None and hasattr(settings, "bias_term"):
                    settings.bias_term = _has_bias(op, found)
            if isinstance(op, ops.InnerProductOp):
                layer.inner_product_param.ClearField("transpose")
        case ops.ScaleOp() if layer.type == "Scale" and op.weight is not None:
            layer.scale_param.bias_term = _has_bias(op, found)
        case _:
            pass
    if found is None:
        layer.blobs.extend(float_blob(array) for array in op.stored_blobs())
        return layer
    layer.blobs.append(integer_blob(op.stored_weight(found.weight), found.shift))
    if found.bias is not None:
        layer.blobs.append(integer_blob(found.bias))
    return layer


def _has_bias(op: WeightedLayerOp | ops.ScaleOp, found: IntegerCoefficients | None) -> bool:
    return (op if found is None else found).bias is not None
