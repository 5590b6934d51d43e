# pyright: basic, reportMissingImports=false
"""Seeded random weights under which a network's numbers stay in a sane range."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
BATCH_NORMS = nn.modules.batchnorm._BatchNorm
RECURRENT = nn.RNNBase
TRANSPOSED = nn.modules.conv._ConvTransposeNd
LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
RELU_GAIN = 2.0


def pictures(shape: Sequence[int], low: float, high: float, seed: int) -> Tensor:
    """Smooth colours, and noise on them, from ``low`` to ``high``."""
    made = torch.Generator().manual_seed(seed)
    batch, channels, *sizes = shape
    mode = ("linear", "bilinear", "trilinear")[len(sizes) - 1]
    found = torch.zeros(tuple(shape))
    for cells in (2, 5, 11, 29):
        coarse = torch.randn((batch, channels, *([cells] * len(sizes))), generator=made)
        found += nn.functional.interpolate(coarse, sizes, mode=mode) * (2 / cells) ** 0.5
    found += 0.1 * torch.randn(tuple(shape), generator=made)
    rows = found.reshape(batch, -1)
    lowest, highest = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    scaled = (rows - lowest) / (highest - lowest)
    return (low + (high - low) * scaled).reshape(tuple(shape))


def _fill(module: nn.Module, key: str, value: Tensor) -> None:
    """Random values of one parameter, by what it is."""
    if isinstance(module, RECURRENT):
        value.uniform_(-1, 1).mul_(1.5 * module.hidden_size**-0.5)
    elif isinstance(module, NORMS):
        value.uniform_(0.6, 1.4) if key == "weight" else value.normal_(0, 0.2)
    elif isinstance(module, nn.PReLU):
        value.uniform_(0.1, 0.4)
    elif value.ndim >= 2 and key.endswith("weight"):
        fan = value[0].numel()
        if isinstance(module, TRANSPOSED):
            taps = value[0, 0].numel()
            steps = torch.tensor(module.stride).prod().item()
            fan = value.shape[0] // module.groups * max(1, taps // steps)
        value.normal_(0, (RELU_GAIN / fan) ** 0.5)
    elif key.endswith("bias"):
        value.normal_(0, 0.05)
    elif "scale" in key or "gamma" in key:
        value.uniform_(0.5, 1)
    else:  # tokens, places, tables of biases
        value.normal_(0, 0.2)


def _fit_norm(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    """About the statistics of what a BatchNorm reads; before it computes, so that those behind it
    see what it makes of them."""
    x = inputs[0].transpose(0, 1).flatten(1)
    mean, variance = x.mean(dim=1), x.var(dim=1)
    spread = torch.empty_like(variance).uniform_(0.8, 1.25)
    norm.running_mean.copy_(mean + 0.1 * variance.sqrt() * torch.randn_like(mean))
    norm.running_var.copy_((variance * spread).clamp(min=1e-3))


def _layer_fitter() -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor | None]:
    """Scales a layer's weights so that its results deviate by 1: gates then neither open nor close
    for good. Once, as some nets call a layer more often."""
    fitted: set[nn.Module] = set()

    def fit(layer: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> Tensor | None:
        if layer in fitted:
            return None
        fitted.add(layer)
        layer.weight.div_(outputs.std())
        return layer.forward(*inputs)

    return fit


def randomise(net: nn.Module, inputs: Sequence[Tensor], seed: int = 0) -> None:
    """Weights by Kaiming, then fitted to the inputs layer by layer."""
    torch.manual_seed(seed)
    net.eval()
    fit_layer = _layer_fitter()
    with torch.no_grad():
        for module in net.modules():
            for key, value in module.named_parameters(recurse=False):
                if value.requires_grad:  # others are constants, such as YOLO's DFL
                    _fill(module, key, value)
        hooks = [
            each.register_forward_pre_hook(_fit_norm)
            for each in net.modules() if isinstance(each, BATCH_NORMS)
        ] + [
            each.register_forward_hook(fit_layer)
            for each in net.modules()
            if isinstance(each, LAYERS) and each.weight.requires_grad
        ]  # fmt: skip
        net(*inputs)
        for hook in hooks:
            hook.remove()
