"""The preprocess contract: what is done to an image before it is the net's input."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from PIL import Image

from bmnetu.calibration.data.faults import MisfitError
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

MAX_PIXELS = 1 << 26
"""The largest image that an array may hold or a resize make."""
MODES = {1: ("gray",), 3: ("bgr", "rgb", "gray")}
"""The colour orders that an input of so many channels can have; the first is the default."""


@dataclass(frozen=True)
class Preprocess:
    """Resize, crop of the centre, colour order, ``(x - mean) * scale``, in this order.

    ``resize``, bilinear, is to (height, width), or (n,): to a shorter side of n. ``crop`` is
    (height, width). ``color`` is bgr, rgb or gray; gray gives an input of three channels three
    equal ones. ``mean`` and ``scale`` have one value or one a channel, in the order of the net's
    channels. An empty field is not given: see :meth:`resolved`.
    """

    resize: tuple[int, ...] = ()
    crop: tuple[int, ...] = ()
    color: str = ""
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def given(self) -> dict[str, object]:
        """The fields that are not empty."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value}

    def over(self, other: Preprocess) -> Preprocess:
        """This contract, with what it does not give taken from another one."""
        return Preprocess(**{**other.given(), **self.given()})  # pyright: ignore[reportArgumentType]

    def resolved(self, shape: Shape) -> Preprocess:
        """The whole contract for an input of N x C x H x W.

        Defaults: the input's size where neither resize nor crop is given, bgr (gray for one
        channel), mean 0, scale 1. Raises :class:`MisfitError` where it cannot make the input.
        """
        if len(shape) != 4 or shape[1] not in MODES:
            raise MisfitError(
                f"images fit an input of 1 or 3 channels, the net's is {show(shape)}; "
                "give an .npy or .npz"
            )
        channels, size = shape[1], shape[2:]
        resize = self.resize or (() if self.crop else size)
        found = replace(
            self,
            resize=resize,
            color=self.color or MODES[channels][0],
            mean=_rounded(self.mean or (0.0,)),
            scale=_rounded(self.scale or (1.0,)),
        )
        if found.color not in MODES[channels]:
            raise MisfitError(f"color {found.color} does not fit an input of {channels} channel(s)")
        made = self.crop or resize
        if len(resize) > 2 or min(resize, default=1) < 1:
            raise MisfitError(f"resize {_by(resize)} is no size")
        if made != size:
            what = "crop" if self.crop else "resize"
            raise MisfitError(
                f"{what} {_by(made)} does not make the input's {_by(size)}: "
                f"{'crop to' if what == 'crop' else 'add a crop of'} {_by(size)}"
            )
        for name, values in (("mean", found.mean), ("scale", found.scale)):
            if len(values) not in (1, channels):
                expected = "1 is" if channels == 1 else f"1 or {channels} are"
                raise MisfitError(f"{name} has {len(values)} values, {expected} expected")
            if not np.isfinite(values).all():
                raise MisfitError(f"{name} has a value that is no float32 number")
        if 0 in found.scale:
            raise MisfitError("scale is 0")
        return found

    def line(self) -> str:
        """The contract as one line."""
        steps = [f"resize {_by(self.resize)}"] if self.resize else []
        steps += [f"crop {_by(self.crop)}"] if self.crop else []
        steps += [f"color {self.color}", f"mean {_list(self.mean)}", f"scale {_list(self.scale)}"]
        return "preprocess: " + ", ".join(steps)

    def of_picture(self, picture: Image.Image, channels: int) -> Array:
        """The input channels x H x W of an image. Raises :class:`MisfitError`."""
        mode = "L" if self.color == "gray" else "RGB"
        fitted = self._fitted(picture if picture.mode == mode else picture.convert(mode))
        pixels = np.atleast_3d(np.asarray(fitted, np.float32)).transpose(2, 0, 1)
        return self._standardized(pixels[::-1] if self.color == "bgr" else pixels, channels)

    def of_planes(self, planes: Array, channels: int) -> Array:
        """The same of a float array channels x height x width, in the net's order of channels.

        One channel becomes as many equal ones as the input has.
        """
        if planes.shape[0] not in (1, channels):
            raise MisfitError(f"has {planes.shape[0]} channels, the net's input has {channels}")
        if (self.resize and planes.shape[1:] != self.resize) or self.crop:
            pictures = (Image.fromarray(np.ascontiguousarray(plane)) for plane in planes)
            planes = np.stack([np.asarray(self._fitted(each)) for each in pictures])
        return self._standardized(planes, channels)

    def seen(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of an image of this size that the input shows: left, top, right, bottom,
        relative to the image. Raises :class:`MisfitError` where it is smaller than the crop."""
        if not self.crop:
            return 0.0, 0.0, 1.0, 1.0
        width, height = self._size(width, height) if self.resize else (width, height)
        left, top, right, bottom = self._window(width, height)
        return left / width, top / height, right / width, bottom / height

    def before(self, values: Array) -> Array:
        """What ``mean`` and ``scale`` made these values of, one value a channel."""
        mean, scale = self._factors
        return values / scale + mean

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        return np.array(self.mean, np.float32), np.array(self.scale, np.float32)

    def _standardized(self, planes: Array, channels: int) -> Array:
        mean, scale = (values[:, None, None] for values in self._factors)
        with np.errstate(over="ignore"):
            found = (planes - mean) * scale
        if not np.isfinite(found).all():
            raise MisfitError("has numbers beyond float32 after mean and scale")
        return np.ascontiguousarray(np.broadcast_to(found, (channels, *found.shape[1:])))

    def _fitted(self, picture: Image.Image) -> Image.Image:
        if self.resize:
            picture = picture.resize(self._size(*picture.size), Image.Resampling.BILINEAR)
        if not self.crop:
            return picture
        return picture.crop(self._window(*picture.size))

    def _window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """What the crop leaves of these pixels, which are resized already."""
        high, wide = self.crop
        left, top = (width - wide) // 2, (height - high) // 2
        if left < 0 or top < 0:
            size = _by((height, width)) + " after the resize" * bool(self.resize)
            raise MisfitError(f"is {size}, smaller than the crop {_by(self.crop)}")
        return left, top, left + wide, top + high

    def _size(self, *picture: int) -> tuple[int, int]:
        """Width and height after the resize of a picture of this width and height."""
        if len(self.resize) == 2:
            height, width = self.resize
        else:
            (side,), shorter = self.resize, min(picture)
            width, height = (side * length // shorter for length in picture)
        if width * max(height, picture[1]) > MAX_PIXELS:  # Pillow resizes the width first
            size = _by(picture[::-1])
            raise MisfitError(f"is {size}, its resize would make {height}x{width} pixels")
        return width, height


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    with np.errstate(over="ignore"):
        return tuple(float(value) for value in np.array(values, np.float32))


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _list(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
