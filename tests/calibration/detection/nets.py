"""A small SSD for tests: two heads, three classes beside the background."""

from __future__ import annotations

from tests.calibration.harness import data_layer, layer

CLASSES = 4
HEADS = {"a": 2, "b": 3}
"""The boxes of a cell, by head."""
DETECTION = "detection_out"


def conv(bottom: str, top: str, outputs: int, stride: int = 1) -> str:
    settings = f"num_output: {outputs} kernel_size: 3 pad: 1 stride: {stride}"
    return layer("Convolution", bottom, top, f"convolution_param {{ {settings} }}")


def _head(name: str, boxes: int) -> str:
    ratios = "".join(f" aspect_ratio: {ratio}" for ratio in (2.0, 3.0)[: boxes - 1])
    order = "permute_param { order: 0 order: 2 order: 3 order: 1 }"
    prior = f"prior_box_param {{ min_size: 12{ratios} flip: false variance: 0.1 }}"
    return "".join(
        [
            conv(name, f"{name}_loc", 4 * boxes),
            layer("Permute", f"{name}_loc", f"{name}_loc_perm", order),
            layer("Flatten", f"{name}_loc_perm", f"{name}_loc_flat"),
            conv(name, f"{name}_conf", CLASSES * boxes),
            layer("Permute", f"{name}_conf", f"{name}_conf_perm", order),
            layer("Flatten", f"{name}_conf_perm", f"{name}_conf_flat"),
            layer("PriorBox", f"{name} data", f"{name}_prior", prior),
        ]
    )


def ssd(batch: int = 1, *, keep: int = 10, confidence: float = 0.05) -> str:
    """The prototxt. Its output is [1, 1, batch * keep, 7]."""
    joined = {
        kind: " ".join(f"{head}_{kind}" for head in HEADS)
        for kind in ("loc_flat", "conf_flat", "prior")
    }
    shape = f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }}"
    detection = (
        f"num_classes: {CLASSES} nms_param {{ nms_threshold: 0.45 top_k: 40 }}"
        f" code_type: CENTER_SIZE keep_top_k: {keep} confidence_threshold: {confidence}"
    )
    return "".join(
        [
            data_layer(batch, 3, 24, 24),
            conv("data", "c1", 8, 2),
            layer("ReLU", "c1", "a"),
            conv("a", "c2", 8, 2),
            layer("ReLU", "c2", "b"),
            *(_head(name, boxes) for name, boxes in HEADS.items()),
            layer("Concat", joined["loc_flat"], "loc", "concat_param { axis: 1 }"),
            layer("Concat", joined["conf_flat"], "conf", "concat_param { axis: 1 }"),
            layer("Concat", joined["prior"], "prior", "concat_param { axis: 2 }"),
            layer("Reshape", "conf", "conf_rows", shape),
            layer("Softmax", "conf_rows", "conf_soft", "softmax_param { axis: 2 }"),
            layer("Flatten", "conf_soft", "conf_probs"),
            layer(
                "DetectionOutput",
                "loc conf_probs prior",
                DETECTION,
                f"detection_output_param {{ {detection} }}",
            ),
        ]
    )
