"""How well a net and its integer net detect, as it is reported and judged."""

from __future__ import annotations

from dataclasses import dataclass

from bmnetu.calibration.accuracy.scores import Accuracy
from bmnetu.calibration.detection.matches import CLOSE, PARTNER, SCORE, Matches
from bmnetu.calibration.detection.precision import MEASURES
from bmnetu.calibration.detection.watched import OfOutput
from bmnetu.errors import AccuracyError


@dataclass(frozen=True)
class DetectionScore:
    """An output that is detections: ``matches`` of FP32 and INT8, and by the IoU that counts, "0.5"
    and "0.5:0.95", the mean average precision of both in percent, empty without annotations."""

    name: str
    matches: Matches
    precision: dict[str, Accuracy]


def detection_score(name: str, found: OfOutput, annotated: bool) -> DetectionScore:
    """What was counted of an output."""
    names = MEASURES if annotated else ()
    precision = {each: Accuracy(found.fp32.mean(each), found.int8.mean(each)) for each in names}
    return DetectionScore(name, found.matches, precision)


def detection_lines(score: DetectionScore) -> list[str]:
    """The score as text."""
    what, found = f'output "{score.name}"', score.matches
    counts = f"{found.fp32} detections with a score above {SCORE:g} in FP32, {found.int8} in INT8"
    lines = [f"{what}: {counts}"]
    if found.fp32:
        matched, close = (100 * count / found.fp32 for count in (found.matched, found.close))
        lines.append(
            f"{what}: INT8 finds {matched:.2f} % of FP32's with IoU {PARTNER:g} or more, "
            f"{close:.2f} % with {CLOSE:g} or more"
        )
    if found.matched:
        lines.append(
            f"{what}: IoU {found.mean_iou:.4f} in the mean, {found.least_iou:.4f} at least; scores "
            f"differ by {found.score_difference:.4f} at most"
        )
    if found.lost or found.alone:
        lines.append(f"{what}: without a partner: {found.lost} of FP32, {found.alone} of INT8")
    lines += [
        f"{what}: mAP at IoU {iou} FP32 {each.fp32:.2f} %, INT8 {each.int8:.2f} %, "
        f"drop {each.drop:.2f} points"
        for iou, each in score.precision.items()
    ]
    return lines


def judge_detections(
    score: DetectionScore, max_drop: float | None, min_iou: float | None
) -> None:
    """Raises AccuracyError where an output misses a threshold."""
    what, found = f'output "{score.name}"', score.matches
    if min_iou is not None:
        if not found.fp32:
            raise AccuracyError(
                f"{what} has no detection with a score above {SCORE:g} in FP32, which -min_iou "
                "could be judged by"
            )
        expected = f"-min_iou={min_iou} is expected"
        if found.lost:
            raise AccuracyError(
                f"{what} has {found.lost} of {found.fp32} FP32 detections without an INT8 one of "
                f"IoU {PARTNER:g} or more, {expected}"
            )
        if found.least_iou < min_iou:
            raise AccuracyError(
                f"{what} has an FP32 detection whose INT8 one has IoU {found.least_iou:.4f}, "
                f"{expected}"
            )
    first = next(iter(MEASURES))
    if max_drop is not None and score.precision and score.precision[first].drop > max_drop:
        raise AccuracyError(
            f"{what} loses {score.precision[first].drop:.2f} points of mAP at IoU {first}, "
            f"-max_drop={max_drop:g} is allowed"
        )
