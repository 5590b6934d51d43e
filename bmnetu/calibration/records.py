"""Results as plain values, for JSON. SQNRs are in dB; None stands for an infinite one: exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bmnetu.calibration.accuracy.closeness import Closeness
from bmnetu.calibration.accuracy.layer_table import blob_record, closeness_record, json_number
from bmnetu.calibration.accuracy.scores import Accuracy, OutputScore
from bmnetu.calibration.calibrate import CalibrationResult
from bmnetu.calibration.detection.scores import DetectionScore
from bmnetu.calibration.evaluate import Evaluation
from bmnetu.calibration.what_if import Trial, WhatIf

Record = dict[str, Any]


def of_calibration(found: CalibrationResult) -> Record:
    """``blobs`` with -layer_table, ``sensitivity`` with that flag, the worst first."""
    return {
        "umodel": str(found.umodel),
        "prototxt": str(found.prototxt),
        "table": None if found.table is None else str(found.table),
        "thresholds": {name: json_number(value) for name, value in found.thresholds.items()},
        "float_layers": found.float_layers,
        "losses": [loss.record() for loss in found.losses],
        "blobs": [blob_record(row) for row in found.layers],
        "sensitivity": [
            {"layer": cost.part.name, "sqnr_db": json_number(cost.sqnr),
             "cosine": json_number(cost.cosine)}
            for cost in found.costs
        ],
    }  # fmt: skip


def of_evaluation(found: Evaluation) -> Record:
    """Accuracies in percent, by rank; mean average precisions by the IoU that counts."""
    return {
        "samples": found.samples,
        "outputs": [_output(score) for score in found.outputs],
        "detections": [_detections(score) for score in found.detections],
    }


def _output(score: OutputScore) -> Record:
    return {
        "name": score.name,
        **closeness_record(score.closeness),
        "same_class": json_number(score.agreement),
        "top": _accuracies({str(rank): each for rank, each in score.top.items()}),
    }


def _detections(score: DetectionScore) -> Record:
    found = score.matches
    return {
        "name": score.name,
        "fp32": found.fp32,
        "int8": found.int8,
        "matched": found.matched,
        "close": found.close,
        "alone": found.alone,
        "mean_iou": json_number(found.iou_sum / found.matched) if found.matched else None,
        "least_iou": json_number(found.least_iou) if found.matched else None,
        "score_difference": json_number(found.score_difference),
        "precision": _accuracies(score.precision),
    }


def _accuracies(found: Mapping[str, Accuracy]) -> Record:
    return {
        name: {"fp32": json_number(each.fp32), "int8": json_number(each.int8)}
        for name, each in found.items()
    }


def of_what_if(found: Sequence[WhatIf]) -> Record:
    """The layers in their order, each with its trials, the first one as it is. Errors are relative;
    None stands for an infinite one."""
    return {"layers": [_layer(each) for each in found]}


def _layer(found: WhatIf) -> Record:
    channel = None
    if found.worst_channel is not None:
        number, sqnr, part = found.worst_channel
        channel = {"channel": number, "sqnr_db": json_number(sqnr), "part": json_number(part)}
    return {
        "layer": found.layer,
        "largest": json_number(found.largest),
        "worst_channel": channel,
        "trials": [_trial(each) for each in found.trials],
        "best": None if found.best is None else found.best.name,
        "losses": [loss.record() for loss in found.losses],
    }


def _trial(found: Trial) -> Record:
    worst = found.worst_output
    return {
        "name": found.name,
        **blob_record(found.row),
        "isolated": _errors(found.row.isolated),
        "accumulated": _errors(found.row.accumulated),
        "worst_output": {"name": worst.name, "error": json_number(worst.error),
                         "sqnr_db": json_number(worst.sqnr_db),
                         "cosine": json_number(worst.cosine)},
        "outputs": {name: _errors(each) for name, each in found.outputs.items()},
        "notes": [note.record() for note in found.notes],
    }  # fmt: skip


def _errors(found: Closeness) -> Record:
    return {"error": json_number(found.error), **closeness_record(found)}
