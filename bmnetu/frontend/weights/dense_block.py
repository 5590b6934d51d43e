"""The blobs of a DenseBlock, given to the layers that stand for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bmnetu.frontend.ufw_pb2 import BlobProto, LayerParameter
from bmnetu.frontend.weights.blobs import BlobMisfitError, float_blob, shape_of, values


def blobs_of_layers(
    param: LayerParameter, blobs: Sequence[BlobProto]
) -> dict[str, list[BlobProto]]:
    """The blobs of each layer by name; see :mod:`bmnetu.frontend.prototxt.rewrite.dense_block`.

    A block of n transitions has 5 n + 1 blobs: n kernels, factors, addends, means and variances,
    and a counter of the training; with ``use_BC`` the same five of the bottlenecks stand before
    the counter. Means and variances are not divided by it. The kernels are those of a true
    convolution: Caffe's are rotated by half a turn. Raises :class:`BlobMisfitError`.
    """
    block = param.denseblock_param
    count, sets = block.numTransition, 2 if block.use_BC else 1
    if len(blobs) != 5 * sets * count + 1:
        raise BlobMisfitError(f"has {len(blobs)} blobs, required are {5 * sets * count + 1}")
    kinds = [blobs[i * count : (i + 1) * count] for i in range(5 * sets)]
    found: dict[str, list[BlobProto]] = {}
    for i in range(count):
        # Five of the block, and five of the bottleneck: its normalisation is of the 3x3 kernel's
        # operand, as the block's is of the 1x1 kernel's.
        kernel, *norm = (kind[i] for kind in kinds[:5])
        name = f"{param.name}/{i}"
        found[f"{name}/conv"] = [_rotated(kernel)]
        if block.use_BC:
            small, *inner = (kind[i] for kind in kinds[5:])
            found[f"{name}/bottleneck_conv"] = [_rotated(small)]
            found |= _normalisation(f"{name}/bottleneck_", norm)
            norm = inner
        found |= _normalisation(f"{name}/", norm)
    return found


def _normalisation(name: str, blobs: Sequence[BlobProto]) -> dict[str, list[BlobProto]]:
    factor, addend, mean, variance = map(_flat, blobs)
    one = float_blob(np.ones(1, np.float32))
    return {f"{name}bn": [mean, variance, one], f"{name}scale": [factor, addend]}


def _flat(blob: BlobProto) -> BlobProto:
    """A blob of 1 x C x 1 x 1 as C numbers."""
    return float_blob(values(blob).ravel())


def _rotated(blob: BlobProto) -> BlobProto:
    flat = values(blob)
    shape = shape_of(blob, flat.size)
    if len(shape) != 4 or int(np.prod(shape)) != flat.size:
        raise BlobMisfitError("its kernels must have four dimensions")
    return float_blob(np.ascontiguousarray(flat.reshape(shape)[:, :, ::-1, ::-1]))
