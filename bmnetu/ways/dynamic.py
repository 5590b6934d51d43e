"""The dynamic way: records for shapes that are chosen at run time."""

from __future__ import annotations

from bmnetu.emit.dynamic import check_written, dynamic_bmodel
from bmnetu.options import PassOptions
from bmnetu.ways.levels import DYNAMIC_LEVELS
from bmnetu.ways.way import Level, Passes, Way
from passes.convert_quant_to_record import ConvertQuantToRecordPass
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.keep_reference import KeepReferencePass
from passes.quant.quant_drop_unread import QuantDropUnreadPass
from passes.quant.quant_float_means import QuantFloatMeansPass
from passes.quant.quant_fold_constants import QuantFoldConstantsPass
from passes.quant.quant_fuse_relu import QuantFuseReluPass
from passes.record.record_allocate_ddr import RecordAllocateDdrPass
from passes.ufw.ufw_fold_batch_norm import UfwFoldBatchNormPass
from passes.verify_records import VerifyRecordsPass

KEEP = KeepReferencePass()


def _ufw(options: PassOptions) -> Passes:
    if options.prec == "INT8":
        return ()
    return (KEEP, UfwFoldBatchNormPass()) if options.opt else (KEEP,)


def _quant(options: PassOptions) -> Passes:
    begin = (
        ConvertUfwToQuantPass(options.input_as_fp32, options.output_as_fp32, dynamic=True),
        QuantFoldConstantsPass(),
        QuantDropUnreadPass(),
    )
    if options.prec == "INT8":
        return (*begin, QuantFloatMeansPass(), KEEP)
    return (*begin, QuantFuseReluPass()) if options.opt else begin


def _record(options: PassOptions) -> Passes:
    return (ConvertQuantToRecordPass(), RecordAllocateDdrPass())


DYNAMIC = Way(
    levels=tuple(map(Level, DYNAMIC_LEVELS, (_ufw, _quant, _record))),
    verify=lambda options: VerifyRecordsPass(options.seed),
    emit=dynamic_bmodel,
    check=check_written,
)
