# pyright: basic, reportMissingImports=false
"""The networks that are exported: a row each, by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch_nets import detectors, images, segformer, text
from torch_nets.weights import pictures, randomise

PIXELS = (0.0, 1.0)
NORMALISED = (-2.1, 2.6)
SYMMETRIC = (-1.0, 1.0)
FUSED_ATTENTION = True
"""Whether attention is one function of PyTorch's, which old operator sets do not have."""


@dataclass(frozen=True)
class Net:
    """How a network is made, the shape of its input, and the numbers that this input holds.

    ``after`` gives what is exported, out of the net with its random weights.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...] = (1, 3, 224, 224)
    values: tuple[float, float] = NORMALISED
    after: Callable[[nn.Module], nn.Module] = lambda net: net
    batch: int = 8

    def made(self) -> tuple[nn.Module, Tensor]:
        """The net with seeded weights, and an input."""
        torch.manual_seed(0)
        net = self.make().eval()
        randomise(net, [pictures((self.batch, *self.shape[1:]), *self.values, seed=1)])
        return self.after(net).eval(), pictures(self.shape, *self.values, seed=2)


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """What torchvision's own extension computes."""
    from torchvision.ops import box_iou

    kept, left = [], scores.argsort(descending=True)
    while len(left):
        kept.append(left[0])
        overlaps = box_iou(boxes[left[:1]], boxes[left])[0]
        left = left[1:][overlaps[1:] <= iou_threshold]
    return torch.stack(kept) if kept else left


def _yes() -> bool:
    return True


LIBRARIES: list[torch.library.Library] = []
"""What is registered is there as long as these are."""


def prepare() -> None:
    """Registers what torchvision's extension would, where that cannot be loaded."""
    with suppress(RuntimeError):
        import torchvision  # its extension registers operators, if it can be loaded
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", _nms, "CPU")
        LIBRARIES.append(library)
        import torchvision

        torchvision.extension._has_ops = _yes


class Chosen(nn.Module):
    """A net whose result is a dict: some of its tensors."""

    def __init__(self, net: nn.Module, *keys: str) -> None:
        super().__init__()
        self.net, self.keys = net, keys

    def forward(self, x: Tensor):
        found = self.net(x)
        return tuple(found[key] for key in self.keys)


class Raw(nn.Module):
    """A detector of torchvision without anchors and all that follows."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor):
        found = self.net.head(list(self.net.backbone(x).values()))
        return found["cls_logits"], found["bbox_regression"]


class Whole(nn.Module):
    """The same with its preprocessing and its postprocessing."""

    def __init__(self, raw: nn.Module) -> None:
        super().__init__()
        self.net = raw.net

    def forward(self, x: Tensor):
        (found,) = self.net(list(x))
        return found["boxes"], found["scores"], found["labels"]


def _torchvision(name: str, **how: object) -> nn.Module:
    import torchvision

    if name.startswith("inception"):
        how = {"init_weights": False, "aux_logits": True, **how}
    return torchvision.models.get_model(name, weights=None, **how)


def _detector(name: str) -> nn.Module:
    from torchvision.models import detection

    return Raw(getattr(detection, name)(weights=None, weights_backbone=None))


def _segmenter(name: str) -> nn.Module:
    from torchvision.models import segmentation

    return Chosen(getattr(segmentation, name)(weights=None, weights_backbone=None), "out")


def _timm(name: str) -> nn.Module:
    import timm
    from timm.layers import set_fused_attn

    set_fused_attn(FUSED_ATTENTION)
    return timm.create_model(name, pretrained=False)


def _deployed(net: nn.Module) -> nn.Module:
    """Branches in one, as timm's networks are deployed."""
    from timm.utils.model import reparameterize_model

    return reparameterize_model(net)


def _yolo(name: str) -> nn.Module:
    """The network of a YAML of ultralytics, to be exported."""
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics import YOLO
    from ultralytics.nn.modules import C2f
    from ultralytics.nn.modules.head import Detect, RTDETRDecoder

    task = {"seg": "segment", "pose": "pose"}.get(name.rpartition("-")[2], "detect")
    net = YOLO(f"{name}.yaml", task=task).model.float().eval()
    for module in net.modules():
        if isinstance(module, (Detect, RTDETRDecoder)):
            module.export, module.format, module.dynamic = True, "onnx", False
            module.shape = None
        elif isinstance(module, C2f):
            module.forward = module.forward_split
    return net


def _fused(net: nn.Module) -> nn.Module:
    """BatchNorm folded, as ultralytics exports; of two heads, the one that needs no NMS."""
    return _folded(net, one_to_one=True)


def _one_to_many(net: nn.Module) -> nn.Module:
    """The same, of two heads the one that leaves NMS to the host."""
    return _folded(net, one_to_one=False)


def _folded(net: nn.Module, one_to_one: bool) -> nn.Module:
    if hasattr(net.model[-1], "one2one_cv2"):
        net.model[-1].end2end = one_to_one
    net = net.fuse(verbose=False)
    for module in net.modules():
        if hasattr(module, "shape") and hasattr(module, "anchors"):
            module.shape = None
    return net


def _scaled(suffix: str, factor: float) -> Callable[[nn.Module], nn.Module]:
    """The layers of a name with results larger or smaller than 1, as those of a trained net are."""

    def after(net: nn.Module) -> nn.Module:
        for name, module in net.named_modules():
            if name.endswith(suffix):
                with torch.no_grad():
                    for value in module.parameters():
                        value.mul_(factor)
        return net

    return after


CLASSIFIERS = (
    "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0",
    "shufflenet_v2_x1_0", "densenet121", "convnext_tiny", "vit_b_16", "swin_t", "squeezenet1_1",
)  # fmt: skip
SEGMENTERS = ("deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large")
DETECTORS = {
    "retinanet_resnet50_fpn": 320, "ssdlite320_mobilenet_v3_large": 320, "ssd300_vgg16": 300
}  # fmt: skip
TIMM = {
    "hrnet_w18_small": 224, "deit_tiny_patch16_224": 224, "mobilevit_s": 256,
    "swin_tiny_patch4_window7_224": 224, "efficientformer_l1": 224, "levit_128s": 224,
    "repvgg_a0": 224, "regnety_004": 224, "mixer_s32_224": 224, "poolformer_s12": 224,
    "ghostnet_100": 224,
}  # fmt: skip
DEPLOYED = ("repvgg_a0",)
YOLOS = (
    "yolov3-tiny", "yolov5n", "yolov8n", "yolov8n-seg", "yolov8n-pose", "yolov9t", "yolov10n",
    "yolo11n", "yolo12n", "yolo26n", "rtdetr-l",
)  # fmt: skip
TWO_HEADS = ("yolov10n", "yolo26n")


def _rows() -> Mapping[str, Net]:
    rows = {name: Net(partial(_torchvision, name)) for name in CLASSIFIERS}
    rows["inception_v3"] = Net(partial(_torchvision, "inception_v3"), (1, 3, 299, 299))
    for name in SEGMENTERS:
        rows[name] = Net(partial(_segmenter, name), (1, 3, 257, 257))
    for name, side in DETECTORS.items():
        shape = (1, 3, side, side)
        rows[name] = Net(partial(_detector, name), shape)
        rows[f"{name}_whole"] = Net(partial(_detector, name), shape, PIXELS, Whole)
    for name, side in TIMM.items():
        after = _deployed if name in DEPLOYED else Net.after
        rows[name] = Net(partial(_timm, name), (1, 3, side, side), after=after)
    for name in YOLOS:
        rows[name] = Net(partial(_yolo, name), (1, 3, 320, 320), PIXELS, _fused)
    for name in TWO_HEADS:
        rows[f"{name}-raw"] = Net(partial(_yolo, name), (1, 3, 320, 320), PIXELS, _one_to_many)
    return rows | {
        "segformer": Net(segformer.Segformer, (1, 3, 256, 256)),
        "unet": Net(images.Unet, (1, 3, 252, 252), PIXELS),
        "dbnet": Net(text.Dbnet, (1, 3, 320, 320)),
        "east": Net(text.East, (1, 3, 256, 256), SYMMETRIC),
        "crnn": Net(text.Crnn, (1, 1, 32, 128), SYMMETRIC),
        "svtr": Net(text.Svtr, (1, 3, 32, 256), SYMMETRIC, _scaled("head", 4)),
        "yolov6": Net(detectors.Yolov6, (1, 3, 320, 320), PIXELS),
        "yolox": Net(detectors.Yolox, (1, 3, 320, 320), (0, 255), _scaled(".box", 0.3)),
        "superres": Net(images.SuperResolution, (1, 3, 128, 128), PIXELS),
        "c3d": Net(images.C3d, (1, 3, 16, 64, 64), SYMMETRIC),
        "keywords": Net(images.Keywords, (1, 40, 100), SYMMETRIC),
        "style": Net(images.Style, (1, 3, 128, 128), (0, 255)),
        "faces": Net(images.Faces, (1, 3, 112, 112), SYMMETRIC),
    }


NETS = _rows()


def ranges() -> dict[str, tuple[float, float]]:
    """The numbers that the input of each network holds."""
    return {name: net.values for name, net in NETS.items()}

