"""Random networks as text, for runs at shapes that are chosen at run time."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bmnetu.errors import BmnetuError
from bmnetu.frontend.importer import build_module
from bmnetu.frontend.prototxt.topology import read_topology
from bmnetu.plugins import plugins
from dialects.execute import names_of
from dialects.ufw.layer import shape_of
from dialects.ufw.ops import Top
from passes.module.functions import main_function, names
from tests.calibration.harness import data_layer, layer
from tests.networks import RandomBlobs

Shape = tuple[int, ...]
LARGEST = 20_000
"""The largest tensor: the vendor's simulator is slow."""
TRIES = 60


def random_net(seed: int, layers: int = 6) -> str:
    """A prototxt of up to ``layers`` layers behind one input or two; the same for a seed."""
    return _Maker(Random(seed)).made(layers)


def shapes_of_text(text: str) -> dict[str, Shape]:
    """The shapes of all blobs of a prototxt. Raises BmnetuError for what does not fit."""
    plugins()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(text)
        topology = read_topology(path)
    function = main_function(build_module(topology, topology.inputs, RandomBlobs(0), Top, "net"))
    block = function.body.block
    found = dict(zip(names(function, "input_names"), map(shape_of, block.args), strict=True))
    for op in block.ops:
        found |= dict(zip(names_of(op, "tops"), map(shape_of, op.results), strict=True))
    return found


class _Maker:
    """Adds layers to a text, those that the importer takes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.text = ""
        self.shapes: dict[str, Shape] = {}
        self.count = 0

    def made(self, layers: int) -> str:
        rng = self.rng
        shape = (
            rng.choice([1, 2, 3, 4, 5, 6]), rng.choice([1, 3, 4, 6, 8, 12]),
            rng.choice([8, 12, 13, 16, 20, 24]), rng.choice([8, 11, 12, 16, 18, 24]),
        )  # fmt: skip
        self.text = data_layer(*shape)
        if rng.random() < 0.2:
            other = (shape[0], rng.choice([shape[1], 5]), *shape[2:])
            self.text += data_layer(*other, name="second")
            self.text += layer("Concat", "data second", "joined")
        else:
            self.text += layer("ReLU", "data", "start", "relu_param { negative_slope: 0.5 }")
        self.shapes = shapes_of_text(self.text)
        made = 0
        for _ in range(TRIES):
            if made == layers:
                break
            made += self._try(rng.choice(LAYERS))
        return self.text

    def _try(self, make: Callable[[_Maker, str], str]) -> bool:
        """Adds a layer, or does nothing where it does not fit."""
        maps = [name for name, shape in self.shapes.items() if len(shape) == 4]
        bottom = self.rng.choice(maps[-3:])
        added = make(self, bottom)
        if not added:
            return False
        try:
            shapes = shapes_of_text(self.text + added)
        except BmnetuError:
            return False
        if max(prod(shape) for shape in shapes.values()) > LARGEST:
            return False
        self.text, self.shapes = self.text + added, shapes
        return True

    # -- what layers are made of -------------------------------------------------------------------

    def top(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def one(self, kind: str, bottom: str, settings: str = "") -> str:
        return layer(kind, bottom, self.top(), settings)

    def pick(self, *choices: int) -> int:
        return self.rng.choice(choices)

    def flag(self) -> str:
        return self.rng.choice(["true", "false"])

    def window(self, sides: tuple[int, ...] = (1, 2, 3, 3, 3, 4, 5)) -> str:
        """Kernel, strides and pads."""
        kernel = [self.pick(*sides), self.pick(*sides)]
        if self.rng.random() < 0.6:
            kernel[1] = kernel[0]
        pads = [self.rng.randint(0, (k - 1) // 2 + (k > 3)) for k in kernel]
        strides = [self.pick(1, 1, 2, 2, 3), self.pick(1, 1, 2, 2, 3)]
        return " ".join(
            f"kernel_{a}: {k} pad_{a}: {p} stride_{a}: {s}"
            for a, k, p, s in zip("hw", kernel, pads, strides, strict=True)
        )

    def alike(self, bottom: str) -> str:
        """A second blob of the shape of the first."""
        same = [n for n, shape in self.shapes.items() if shape == self.shapes[bottom]]
        return self.rng.choice(same)


Make = Callable[[_Maker, str], str]


def _convolution(m: _Maker, x: str) -> str:
    channels = m.shapes[x][1]
    group = m.pick(*[g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0])
    outputs = group * m.pick(1, 2, 3, 4) if group > 1 else m.pick(1, 4, 7, 8, 16)
    outputs = channels if group == channels and m.rng.random() < 0.7 else outputs
    dilation = m.pick(1, 1, 1, 2, 3)
    settings = f"num_output: {outputs} group: {group} {m.window()} dilation: {dilation}"
    return m.one("Convolution", x, f"convolution_param {{ {settings} bias_term: {m.flag()} }}")


def _deconvolution(m: _Maker, x: str) -> str:
    channels = m.shapes[x][1]
    group = m.pick(*[g for g in (1, 1, 2, channels) if channels % g == 0])
    outputs = channels if group == channels else group * m.pick(1, 2, 4)
    settings = f"num_output: {outputs} group: {group} {m.window((2, 3, 4))}"
    return m.one("Deconvolution", x, f"convolution_param {{ {settings} bias_term: {m.flag()} }}")


def _pooling(m: _Maker, x: str) -> str:
    kind = m.rng.choice(["MAX", "AVE"])
    if m.rng.random() < 0.15:
        return m.one("Pooling", x, f"pooling_param {{ pool: {kind} global_pooling: true }}")
    mode = m.rng.choice(["", "round_mode: FLOOR"])
    if kind == "AVE" and m.rng.random() < 0.2:
        kind = "AVE_EXC_PAD"
    window = m.window((2, 2, 3, 3, 5))
    return m.one("Pooling", x, f"pooling_param {{ pool: {kind} {window} {mode} }}")


def _function(m: _Maker, x: str) -> str:
    kind, settings = m.rng.choice(FUNCTIONS)
    return m.one(kind, x, settings)


FUNCTIONS = [
    ("ReLU", ""), ("ReLU", ""), ("ReLU", "relu_param { negative_slope: 0.1 }"), ("ReLU6", ""),
    ("PReLU", ""), ("PReLU", "prelu_param { channel_shared: true }"), ("Sigmoid", ""),
    ("TanH", ""), ("ELU", ""), ("AbsVal", ""), ("Exp", ""),
    ("Power", "power_param { power: 2 scale: 0.5 shift: 0.25 }"),
    ("Power", "power_param { scale: -1 shift: 1 }"), ("Softplus", ""), ("Mish", ""), ("HSwish", ""),
    ("Clip", "clip_param { min: -0.5 max: 1 }"), ("Square", ""),
    ("Log", "log_param { shift: 4 }"), ("GELU", ""), ("Threshold", ""), ("Swish", ""),
]  # fmt: skip


def _statistics(m: _Maker, x: str) -> str:
    if m.rng.random() < 0.5:
        return m.one("BatchNorm", x)
    if m.rng.random() < 0.3:
        return m.one("Bias", x)
    return m.one("Scale", x, f"scale_param {{ bias_term: {m.flag()} }}")


def _scale_by(m: _Maker, x: str) -> str:
    """A factor for each channel of each image, from a global mean."""
    mean, gate = m.top(), m.top()
    return (
        layer("Pooling", x, mean, "pooling_param { pool: AVE global_pooling: true }")
        + layer("Sigmoid", mean, gate)
        + m.one("Scale", f"{x} {gate}", "scale_param { axis: 0 }")
    )


def _eltwise(m: _Maker, x: str) -> str:
    other = m.alike(x)
    kind = m.rng.choice(["SUM", "SUM", "PROD", "MAX"])
    factors = ["", "", "coeff: 1 coeff: -1", "coeff: 0.5 coeff: 2"]
    coeff = m.rng.choice(factors) if kind == "SUM" else ""
    xs, more = f"{x} {other}", ""
    if m.rng.random() < 0.2 and not coeff:
        xs += f" {m.alike(x)}"
    return more + m.one("Eltwise", xs, f"eltwise_param {{ operation: {kind} {coeff} }}")


def _concat(m: _Maker, x: str) -> str:
    shape, axis = m.shapes[x], m.pick(1, 1, 1, 2, 3, 0)
    rest = [*shape[:axis], *shape[axis + 1 :]]
    fits = [
        n for n, s in m.shapes.items() if len(s) == 4 and [*s[:axis], *s[axis + 1 :]] == rest
    ]
    xs = [x, *(m.rng.choice(fits) for _ in range(m.pick(1, 1, 2)))]
    return m.one("Concat", " ".join(xs), f"concat_param {{ axis: {axis} }}")


def _slice(m: _Maker, x: str) -> str:
    axis = m.pick(1, 1, 1, 2)
    size = m.shapes[x][axis]
    if size < 2:
        return ""
    point = m.rng.randint(1, size - 1)
    return layer(
        "Slice", x, f"{m.top()} {m.top()}", f"slice_param {{ axis: {axis} slice_point: {point} }}"
    )


def _resize(m: _Maker, x: str) -> str:
    match m.pick(0, 0, 1, 2, 3):
        case 0:
            return m.one("Upsample", x, f"upsample_param {{ scale: {m.pick(2, 2, 3)} }}")
        case 1:
            return m.one("Interp", x, f"interp_param {{ zoom_factor: {m.pick(2, 3)} }}")
        case 2:
            return m.one("Interp", x, "interp_param { shrink_factor: 2 }")
        case _:
            flag = m.rng.choice(["align_corners", "half_pixel_centers"])
            return m.one(
                "ResizeBilinear", x,
                f"resize_bilinear_param {{ scale_height: 2 scale_width: 2 {flag}: true }}",
            )  # fmt: skip


def _normalisation(m: _Maker, x: str) -> str:
    match m.pick(0, 1, 2, 2, 3, 4):
        case 0:
            region = m.rng.choice(["ACROSS_CHANNELS", "ACROSS_CHANNELS", "WITHIN_CHANNEL"])
            return m.one("LRN", x, f"lrn_param {{ local_size: 3 norm_region: {region} }}")
        case 1:
            flags = f"across_spatial: {m.flag()} channel_shared: {m.flag()}"
            return m.one("Normalize", x, f"norm_param {{ {flags} eps: 1e-4 }}")
        case 2:
            return m.one("Softmax", x, f"softmax_param {{ axis: {m.pick(1, 1, 1, 2, 3)} }}")
        case 3:
            return m.one("MVN", x, f"mvn_param {{ across_channels: {m.flag()} eps: 1e-3 }}")
        case _:
            return m.one("LogSoftmax", x)


def _move(m: _Maker, x: str) -> str:
    channels = m.shapes[x][1]
    groups = [g for g in (2, 3, 4) if channels % g == 0]
    match m.pick(0, 0, 1, 2, 3, 4, 5, 6):
        case 0:
            order = m.rng.sample([1, 2, 3], 3)
            order = m.rng.sample([0, *order], 4) if m.rng.random() < 0.2 else [0, *order]
            return m.one(
                "Permute", x, f"permute_param {{ {' '.join(f'order: {a}' for a in order)} }}"
            )
        case 1 if groups:
            group = m.rng.choice(groups)
            return m.one("ShuffleChannel", x, f"shuffle_channel_param {{ group: {group} }}")
        case 2:
            return m.one("Reorg", x, f"reorg_param {{ stride: 2 reverse: {m.flag()} }}")
        case 3:
            return m.one("Tile", x, f"tile_param {{ axis: {m.pick(1, 2, 3)} tiles: 2 }}")
        case 4:
            pads = f"pad_t: {m.pick(0, 1, 2)} pad_b: 1 pad_l: {m.pick(0, 1)} pad_r: {m.pick(1, 2)}"
            mode = m.rng.choice(["CONSTANT value: 0.5", "REFLECT", "EDGE", "SYMMETRIC"])
            return m.one("Pad", x, f"pad_param {{ {pads} mode: {mode} }}")
        case 5 if groups:
            group = m.rng.choice(groups)
            shape = m.rng.choice([
                f"dim: 0 dim: {channels // group} dim: -1 dim: 0",
                f"dim: 0 dim: -1 dim: {group} dim: 0", "dim: 0 dim: 1 dim: -1 dim: 0",
            ])  # fmt: skip
            return m.one("Reshape", x, f"reshape_param {{ shape {{ {shape} }} }}")
        case 6 if channels % 4 == 0:
            return m.one("PixelShuffle", x, "pixel_shuffle_param { upscale_factor: 2 }")
        case _:
            return ""


def _crop(m: _Maker, x: str) -> str:
    """A map cut to the size of a smaller one."""
    h, w = m.shapes[x][2:]
    fits = [
        n for n, s in m.shapes.items()
        if len(s) == 4 and s[2] <= h and s[3] <= w and s[2:] != (h, w)
    ]  # fmt: skip
    if not fits:
        return ""
    return m.one("Crop", f"{x} {m.rng.choice(fits)}", "crop_param { axis: 2 offset: 0 }")


def _end(m: _Maker, x: str) -> str:
    """Layers behind which the map is none any more."""
    match m.pick(0, 0, 1, 2, 3, 4):
        case 0:
            pooled = m.top()
            settings = f"inner_product_param {{ num_output: 7 bias_term: {m.flag()} }}"
            kind = m.rng.choice(["MAX", "AVE"])
            pool = f"pooling_param {{ pool: {kind} global_pooling: true }}"
            return layer("Pooling", x, pooled, pool) + m.one("InnerProduct", pooled, settings)
        case 1:
            return m.one("Flatten", x)
        case 2:
            kind = m.rng.choice(["SUM", "ASUM", "SUMSQ", "MEAN"])
            return m.one(
                "Reduction", x, f"reduction_param {{ operation: {kind} axis: {m.pick(1, 2)} }}"
            )
        case 3:
            return m.one("ArgMax", x, "argmax_param { axis: 1 }")
        case _:
            kind = m.rng.choice(["MEAN", "SUM", "MAX", "MIN"])
            axes = m.rng.choice(["axis: 1", "axis: 2 axis: 3", "axis: 3"])
            return m.one("Reduce", x, f"reduce_param {{ operation: {kind} {axes} }}")


LAYERS: list[Make] = [
    _convolution, _convolution, _convolution, _deconvolution, _pooling, _pooling, _function,
    _function, _function, _statistics, _scale_by, _eltwise, _eltwise, _concat, _slice, _resize,
    _normalisation, _move, _move, _crop, _end,
]  # fmt: skip
