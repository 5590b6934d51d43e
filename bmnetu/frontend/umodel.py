"""Writes umodels and their prototxts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from google.protobuf.text_format import MessageToString

from bmnetu.errors import UsageError
from bmnetu.files import file_stem, write_atomically
from bmnetu.frontend.network import Network, Precision, load_network
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.weights import read_weights


def write_umodel(path: Path, net: NetParameter) -> None:
    """Writes a net with its weights as an fp32umodel or int8umodel, in one rename."""
    write_atomically(path, net.SerializeToString(deterministic=True))


def write_prototxt(path: Path, net: NetParameter) -> None:
    """Writes a net's layers, without weights and activation records, as text."""
    text = NetParameter()
    text.CopyFrom(net)
    text.ClearField("activation")
    for layer in text.layer:
        layer.ClearField("blobs")
    write_atomically(path, MessageToString(text).encode())


def generate_umodel(
    model: Path,
    weight: Path,
    outdir: Path,
    net_name: str | None = None,
    *,
    shapes: Sequence[Sequence[int]] | None = None,
    max_n: int | None = None,
) -> tuple[Path, Path]:
    """Turns a caffemodel into ``NET.fp32umodel`` and ``NET_test_fp32.prototxt``.

    NET is ``net_name``, by default the name in the prototxt; ``shapes`` and ``max_n`` reshape
    the inputs. Everything is checked as for compiling. Returns the paths of umodel and prototxt.
    """
    network = load_network(model, weight, shapes=shapes, max_n=max_n, net_name=net_name)
    if network.precision is not Precision.FP32:
        raise UsageError(f"{weight}: is an int8umodel already; -mode=GenUmodel wants float weights")
    stem = file_stem(network.net.name)
    umodel, prototxt = outdir / f"{stem}.fp32umodel", outdir / f"{stem}_test_fp32.prototxt"
    write_umodel(umodel, with_weights(network, weight))
    write_prototxt(prototxt, network.net)
    return umodel, prototxt


def with_weights(network: Network, weight: Path) -> NetParameter:
    """The net as compiled, with the blobs of a weight file."""
    blobs = read_weights(weight).blobs
    net = NetParameter()
    net.CopyFrom(network.net)
    for layer in net.layer:
        layer.blobs.extend(blobs.get(layer.name, []))
    return net
