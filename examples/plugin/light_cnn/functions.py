"""A pointwise function is one row: FP32, INT8, prototxt and ONNX follow from it."""

import numpy as np

from dialects.expression import maximum, minimum
from dialects.functions import Function

SOFT_SHRINK = Function(
    "soft_shrink",
    "x moved towards 0 by lambd, 0 where that passes 0",
    layer="SoftShrink",
    message="soft_shrink_param",
    defaults={"lambd": 0.5},
    meaning=lambda x, p: x - np.clip(x, -p["lambd"], p["lambd"]),
    recipe=lambda x, p: x - maximum(minimum(x, p["lambd"]), -p["lambd"]),
    error=1e-6,
)
