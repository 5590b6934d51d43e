"""Writes umodels and their prototxts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from google.protobuf.text_format import MessageToString

from bmnetu.errors import UsageError
from bmnetu.files.outputs import OutputFolder
from bmnetu.files.reading import file_stem, write_atomically
from bmnetu.frontend.cut import WHOLE, Cut
from bmnetu.frontend.network import Precision, build_network, read_files
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.weights.blobs import Weights


def write_umodel(path: Path, net: NetParameter) -> None:
    """Writes a net with its weights as an fp32umodel or int8umodel, in one rename."""
    write_atomically(path, umodel_bytes(net))


def write_prototxt(path: Path, net: NetParameter) -> None:
    """Writes a net's layers, without weights and records, as text."""
    write_atomically(path, prototxt_bytes(net))


def umodel_bytes(net: NetParameter) -> bytes:
    """A net with its weights, as in an fp32umodel or int8umodel."""
    return net.SerializeToString(deterministic=True)


def prototxt_bytes(net: NetParameter) -> bytes:
    """A net's layers, without weights and records, as text."""
    text = NetParameter()
    text.CopyFrom(net)
    text.ClearField("activation")
    text.ClearField("preprocess")
    for layer in text.layer:
        layer.ClearField("blobs")
    return MessageToString(text).encode()


def generate_umodel(
    model: str | Path,
    weight: str | Path | None,
    outdir: str | Path,
    net_name: str | None = None,
    *,
    shapes: Sequence[Sequence[int]] | None = None,
    max_n: int | None = None,
    cut: Cut = WHOLE,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[Path, Path]:
    """Turns a caffemodel, or an .onnx without ``weight``, into ``NET.fp32umodel`` and
    ``NET_test_fp32.prototxt``.

    NET is ``net_name``, by default the name in the model; ``shapes`` and ``max_n`` reshape the
    inputs, ``cut`` says where the net ends. Everything is checked as for compiling. ``report`` gets
    lines for the user. Returns the paths of umodel and prototxt.
    """
    folder = OutputFolder(Path(outdir), "-outdir")
    folder.check()
    files = read_files(Path(model), None if weight is None else Path(weight), shapes, max_n, cut)
    network = build_network(files, shapes, max_n, net_name)
    if network.precision is not Precision.FP32:
        raise UsageError(f"{weight}: is an int8umodel; -mode=GenUmodel requires float weights")
    for note in network.notes:
        report(note.line)
    stem = file_stem(network.net.name)
    names = f"{stem}_test_fp32.prototxt", f"{stem}.fp32umodel"
    folder.check(*names)
    contents = prototxt_bytes(network.net), umodel_bytes(with_weights(network.net, files[1]))
    folder.store(dict(zip(names, contents, strict=True)))
    prototxt, umodel = (folder.path / name for name in names)
    report(f"wrote {umodel} and {prototxt}")
    return umodel, prototxt


def with_weights(compiled: NetParameter, weights: Weights) -> NetParameter:
    """The net as compiled, with its weights and the record of the preprocessing."""
    net = NetParameter()
    net.CopyFrom(compiled)
    if weights.preprocess is not None:
        net.preprocess.CopyFrom(weights.preprocess)
    for layer in net.layer:
        layer.blobs.extend(weights.messages(layer))
    return net
