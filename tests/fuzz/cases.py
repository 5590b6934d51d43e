"""Makes the cases: files in a folder, some of them damaged, and a command that reads them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from onnx import ModelProto

from bmnetu.bmodel import Stage, read, write
from bmnetu.frontend.ufw_pb2 import Datum, NetParameter
from bmnetu.inspect.command_line import SUBCOMMANDS, subcommand
from bmnetu.ways.static import OPT_LEVELS
from passes import ALL_PASSES
from tests.fuzz.mutations import (
    INTS,
    damaged_bytes,
    damaged_message,
    damaged_text,
)
from tests.fuzz.seeds import Seeds, database
from tests.pipelines import static_text

damaged_net = damaged_message(NetParameter)
damaged_onnx = damaged_message(ModelProto)
damaged_datum = damaged_message(Datum)
Make = Callable[[Random, Seeds, Path], "Case"]


@dataclass(frozen=True)
class Case:
    """Files by name, and the command line on them; ``entry`` is a key of the worker's ENTRIES."""

    entry: str
    words: Sequence[str]
    files: Mapping[str, bytes]


def _net_words(rng: Random, weight: str = "w") -> list[str]:
    words = ["-model=m.prototxt", f"-weight={weight}", "-outdir=out"]
    if rng.random() < 0.1:
        return [*words, "-mode=GenUmodel"]
    words += [f"-opt={rng.choice([0, 1, 1, 2])}", f"-cmp={rng.choice(['true', 'false'])}"]
    return words + rng.choice([[], [], ["-enable_profile"], ["-dump_ir=ir"], ["-use_wino"]])


def prototxt(rng: Random, seeds: Seeds, folder: Path) -> Case:
    model, weight = rng.choice(seeds.nets)
    damage = rng.choice([damaged_text, damaged_text, damaged_text, damaged_bytes])
    return Case("bmnetu", _net_words(rng), {"m.prototxt": damage(rng, model), "w": weight})


def weights(rng: Random, seeds: Seeds, folder: Path) -> Case:
    model, weight = rng.choice(seeds.nets)
    damage = rng.choice([damaged_net, damaged_bytes])
    return Case("bmnetu", _net_words(rng), {"m.prototxt": model, "w": damage(rng, weight)})


def int8(rng: Random, seeds: Seeds, folder: Path) -> Case:
    model, weight = rng.choice(seeds.int8)
    if rng.random() < 0.3:
        model = damaged_text(rng, model)
    else:
        weight = rng.choice([damaged_net, damaged_net, damaged_bytes])(rng, weight)
    return Case("bmnetu", _net_words(rng), {"m.prototxt": model, "w": weight})


def onnx(rng: Random, seeds: Seeds, folder: Path) -> Case:
    data = rng.choice([damaged_onnx, damaged_onnx, damaged_bytes])(rng, rng.choice(seeds.onnx))
    words = ["-model=m.onnx", "-outdir=out", f"-cmp={rng.choice(['true', 'false'])}"]
    return Case("onnx", words, {"m.onnx": data})


def bmodel(rng: Random, seeds: Seeds, folder: Path) -> Case:
    return Case("bmodel", ["b.bmodel"], {"b.bmodel": damaged_bmodel(rng, seeds)})


def model(rng: Random, seeds: Seeds, folder: Path) -> Case:
    """A subcommand of bmnetu-model."""
    name = rng.choice([*SUBCOMMANDS, "run"])
    second = rng.choice(["b.bmodel", "c.bmodel"])
    words = [name, "b.bmodel", second][: 1 + len(subcommand(name).operands)]
    words += [f"--{flag.name}=out/o" for flag in subcommand(name).all_flags if flag.necessary]
    if name == "run":
        words += rng.choice([[], ["--out=out/o.npz"], ["--input=d.npy"], ["--labels=d.npy"],
                             ["--dump=pool,fc"], ["--dump=conv"], ["--net=small"]])  # fmt: skip
    else:
        words += rng.choice([[], ["--json"]])
    files = {"b.bmodel": damaged_bmodel(rng, seeds), "c.bmodel": rng.choice(seeds.bmodels)}
    return Case("model", words, files | {"d.npy": seeds.arrays[0]})


def damaged_bmodel(rng: Random, seeds: Seeds) -> bytes:
    data = rng.choice(seeds.bmodels)
    size = int.from_bytes(data[8:12], "little") + 64
    kind = rng.random()
    if kind < 0.4:  # the header and the flatbuffer, not the commands
        return damaged_bytes(rng, data[:size])[:size].ljust(size, b"\0") + data[size:]
    if kind < 0.6:
        return damaged_bytes(rng, data)
    return damaged_commands(rng, data)


def damaged_commands(rng: Random, data: bytes) -> bytes:
    """A file that is read, with commands, records or parameters of host layers of another kind."""
    found = read(data, "it")

    def damaged(part: bytes) -> bytes:
        if not part or rng.random() < 0.4:
            return part
        grown = bytearray(part)
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(len(grown) // 4) * 4 if len(grown) >= 4 else 0
            match rng.randrange(3):
                case 0:
                    grown[at] ^= 1 << rng.randrange(8)
                case 1:
                    value = rng.choice(INTS) & 0xFFFFFFFF
                    grown[at : at + 4] = value.to_bytes(4, "little")
                case _:
                    other = rng.randrange(len(grown) // 4) * 4 if len(grown) >= 4 else 0
                    grown[at : at + 4] = grown[other : other + 4]
        return bytes(grown[: len(part)])

    def stage(old: Stage) -> Stage:
        groups = [replace(g, tiu=damaged(g.tiu), gdma=damaged(g.gdma)) for g in old.groups]
        subnets = [
            s if s.host is None else replace(s, host=replace(s.host, params=damaged(s.host.params)))
            for s in old.subnets
        ]
        return replace(old, groups=tuple(groups), subnets=tuple(subnets),
                       records=damaged(old.records), notes=damaged(old.notes))  # fmt: skip

    nets = [replace(net, stages=tuple(map(stage, net.stages))) for net in found.nets]
    return write(replace(found, nets=tuple(nets)))


def mlir(rng: Random, seeds: Seeds, folder: Path) -> Case:
    text, arrays = rng.choice(seeds.modules)
    which = rng.random()
    if which < 0.7:
        text = damaged_text(rng, text)
    elif which < 0.8:
        text = damaged_bytes(rng, text)
    else:
        arrays = rng.choice([damaged_bytes, damaged_archive])(rng, arrays)
    words = ["m.mlir", "--weights", "w.npz"]
    if rng.random() < 0.8:
        words += ["-p", _passes(rng)]
    words += rng.choice([[], [], ["-t", "npu-asm"], ["-o", "out.mlir"], ["--split-input-file"]])
    return Case("opt", words, {"m.mlir": text, "w.npz": arrays})


def _passes(rng: Random) -> str:
    """The end of a pipeline, or any passes."""
    if rng.random() < 0.3:
        return ",".join(item.name for item in rng.choices(ALL_PASSES, k=rng.choice([1, 2, 4])))
    precision = rng.choice(["FP32", "INT8"])
    parts = static_text(rng.choice([*OPT_LEVELS]), precision, verify=True).split(",")
    return ",".join(parts[rng.randrange(len(parts)) :])


def data(rng: Random, seeds: Seeds, folder: Path) -> Case:
    model, weight = seeds.nets[rng.choice([0, 2])]
    name, content = rng.choice([_array, _archive, _picture, _datums, _lmdb])(rng, seeds, folder)
    words = ["-model=m.prototxt", "-weight=w", "-outdir=out"]
    words += [f"-data={name.partition('/')[0]}", f"-iterations={rng.choice([1, 3])}"]
    words += rng.choice([[], [], ["-mean=1,2,3"], ["-resize=8"], ["-color=gray"], ["-layer_table"]])
    return Case("calibrate", words, {"m.prototxt": model, "w": weight, name: content})


Content = tuple[str, bytes]


def _array(rng: Random, seeds: Seeds, folder: Path) -> Content:
    return "d.npy", rng.choice([damaged_bytes, damaged_header])(rng, seeds.arrays[0])


def _archive(rng: Random, seeds: Seeds, folder: Path) -> Content:
    return "d.npz", rng.choice([damaged_bytes, damaged_archive])(rng, rng.choice(seeds.archives))


def _picture(rng: Random, seeds: Seeds, folder: Path) -> Content:
    kind, content = rng.choice(seeds.pictures)
    if kind == "png" and rng.random() < 0.7:
        return "d/a.png", damaged_png(rng, content)
    return f"d/a.{kind}", damaged_bytes(rng, content)


def _datums(rng: Random, seeds: Seeds, folder: Path) -> Content:
    values = [damaged_datum(rng, value) for value in rng.choices(seeds.datums, k=2)]
    return "d/data.mdb", database(folder, [value or b"\0" for value in values])


def _lmdb(rng: Random, seeds: Seeds, folder: Path) -> Content:
    return "d/data.mdb", damaged_bytes(rng, seeds.databases[0])


def damaged_header(rng: Random, array: bytes) -> bytes:
    """An .npy whose header says something else."""
    size = int.from_bytes(array[8:10], "little")
    dims = [str(rng.choice(INTS)) for _ in range(rng.choice([0, 1, 4, 4, 70]))]
    shape = "(" + "".join(dim + "," for dim in dims) + ")"
    kind = rng.choice(["<f4", "<f8", "|u1", "|O", "<U9999999", "|V8", "<f2", "junk", "<c16"])
    order = rng.choice(["False", "True", "None"])
    header = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return array[:8] + len(header).to_bytes(2, "little") + header + array[10 + size :]


def damaged_archive(rng: Random, archive: bytes) -> bytes:
    """An .npz one of whose arrays is damaged, or unpacks to very much."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(stream, "w") as new:
        names = old.namelist()
        chosen = rng.choice(names) if names else ""
        for name in names:
            content = old.read(name)
            method = zipfile.ZIP_STORED
            if name == chosen:
                content = rng.choice([damaged_header, damaged_bytes])(rng, content)
                if rng.random() < 0.2:
                    content, method = content + bytes(100_000_000), zipfile.ZIP_DEFLATED
            new.writestr(name, content, method)
    return stream.getvalue()


def damaged_png(rng: Random, picture: bytes) -> bytes:
    """A PNG of another size, with a right checksum; or one that really is so large."""
    width, height = (rng.choice([0, 1, 7, 70_000, 80_000_000, (1 << 31) - 1]) for _ in "wh")
    head = picture[12:16] + struct.pack(">II", width, height) + picture[24:29]
    start = picture[:12] + head + struct.pack(">I", zlib.crc32(head))
    if rng.random() < 0.5:
        return start + picture[33:]
    rows = min(80_000_000, max(1, width) * max(1, height) // 8)
    packed = zlib.compress(bytes(rows))
    chunk = b"IDAT" + packed
    body = struct.pack(">I", len(packed)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + body + picture[-12:]


KINDS: dict[str, Make] = {
    "prototxt": prototxt,
    "weights": weights,
    "int8": int8,
    "onnx": onnx,
    "bmodel": bmodel,
    "model": model,
    "mlir": mlir,
    "data": data,
}


def make_case(index: int, seed: int, seeds: Seeds, folder: Path) -> tuple[str, Case]:
    """A case by its number: its kind, and what it is."""
    kind = [*KINDS][index % len(KINDS)]
    return kind, KINDS[kind](Random(f"{seed} {index}"), seeds, folder)
