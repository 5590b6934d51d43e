"""Opens the data and reads all of it once: faults are found early."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bmnetu.calibration.data.accumulate import accumulate
from bmnetu.calibration.data.contract import DataSource, contract_of
from bmnetu.calibration.data.dataset import CalibrationData, open_data
from bmnetu.calibration.data.look import Look, oddities
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.note import Note
from dialects.ufw.shapes import Shape


def open_checked(
    source: DataSource,
    net: NetParameter,
    shapes: Mapping[str, Shape],
    report: Callable[[str], None],
    recorded: Preprocess | None = None,
) -> CalibrationData:
    """The data, after one reading. ``report`` gets the contract and notes on what looks odd.

    Raises what :func:`contract_of` and :func:`open_data` raise.
    """

    def note(found: Note) -> None:
        report(found.line)

    contract = contract_of(source, net, shapes, note, recorded)
    path = source.path.absolute() if source.crew.dask else source.path  # workers are elsewhere
    data = open_data(path, shapes, source.limit, contract, source.crew)
    what = data.contract.line() if data.contract else "preprocess: none, the arrays are the inputs"
    report(what)
    for oddity in oddities(accumulate(None, data, Look, "reading"), data):
        note(oddity)
    return data
