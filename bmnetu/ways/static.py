"""The static way: commands for fixed shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bmnetu.emit.static import bmodel_of, check_written
from bmnetu.options import PassOptions
from bmnetu.ways.levels import STATIC_LEVELS
from bmnetu.ways.way import Level, Passes, Way
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.convert_tile_to_npu import ConvertTileToNpuPass
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.keep_reference import KeepReferencePass
from passes.npu.npu_assign_waits import NpuAssignWaitsPass
from passes.npu.npu_fill_waits import NpuFillWaitsPass
from passes.npu.npu_hoist_loads import NpuHoistLoadsPass
from passes.quant.quant_arrange_concats import QuantArrangeConcatsPass
from passes.quant.quant_channels_first import QuantChannelsFirstPass
from passes.quant.quant_choose_matmul import QuantChooseMatmulPass
from passes.quant.quant_choose_winograd import QuantChooseWinogradPass
from passes.quant.quant_cut_strips import QuantCutStripsPass
from passes.quant.quant_drop_unread import QuantDropUnreadPass
from passes.quant.quant_fold_constants import QuantFoldConstantsPass
from passes.quant.quant_fold_shuffles import QuantFoldShufflesPass
from passes.quant.quant_fuse_relu import QuantFuseReluPass
from passes.quant.quant_fuse_sums import QuantFuseSumsPass
from passes.quant.quant_merge_groups import QuantMergeGroupsPass
from passes.quant.quant_merge_transposes import QuantMergeTransposesPass
from passes.quant.quant_outline_host import QuantOutlineHostPass
from passes.quant.quant_sink_functions import QuantSinkFunctionsPass
from passes.quant.quant_slice_batch import QuantSliceBatchPass
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from passes.quant.quant_spread_rows import QuantSpreadRowsPass
from passes.quant.quant_turn_rows import QuantTurnRowsPass
from passes.quant.quant_widen_convs import QuantWidenConvsPass
from passes.tile.tile_allocate_ddr import TileAllocateDdrPass
from passes.tile.tile_allocate_local import TileAllocateLocalPass
from passes.tile.tile_keep_local import TileKeepLocalPass
from passes.tile.tile_merge_loads import TileMergeLoadsPass
from passes.ufw.ufw_fold_batch_norm import UfwFoldBatchNormPass
from passes.ufw.ufw_fuse_functions import UfwFuseFunctionsPass
from passes.verify_layers import VerifyLayersPass


@dataclass(frozen=True)
class OptLevel:
    """The passes of one opt level at the four levels of the IR, behind those that every one has.
    At the first two they depend on the precision. They keep no state, so they are shared."""

    ufw: dict[str, Passes]
    quant: dict[str, Passes]
    tile: Passes
    npu: Passes


KEEP: Passes = (KeepReferencePass(),)
OUTLINE: Passes = (QuantOutlineHostPass(),)
IN_LOCAL_MEMORY: Passes = (
    QuantSinkFunctionsPass(),
    QuantWidenConvsPass(),
    QuantArrangeConcatsPass(),
    QuantSliceBatchPass(),
    QuantSliceRowsPass(),
    QuantSpreadRowsPass(),
)
FLOAT_LAYERS: Passes = (
    QuantDropUnreadPass(),
    *OUTLINE,
    QuantFuseReluPass(),
    QuantMergeTransposesPass(),
    QuantFoldShufflesPass(),
    QuantMergeGroupsPass(),
)
INTEGER_LAYERS: Passes = (
    QuantDropUnreadPass(),
    *KEEP,
    *OUTLINE,
    QuantMergeTransposesPass(),
    QuantFoldShufflesPass(),
    QuantMergeGroupsPass(),
    QuantChooseMatmulPass(),
    QuantTurnRowsPass(),
)
CHANNELS_FIRST: Passes = (QuantChannelsFirstPass(), QuantMergeTransposesPass())
OVERLAPPED = OptLevel(
    ufw={"FP32": (*KEEP, UfwFoldBatchNormPass(), UfwFuseFunctionsPass()), "INT8": ()},
    quant={
        "FP32": (*FLOAT_LAYERS, QuantChooseMatmulPass(), QuantFuseSumsPass()),
        "INT8": (*INTEGER_LAYERS, QuantMergeTransposesPass()),
    },
    tile=(
        ConvertQuantToTilePass(share=2),
        TileAllocateDdrPass(),
        TileAllocateLocalPass(overlap=True),
    ),
    npu=(NpuHoistLoadsPass(), NpuAssignWaitsPass()),
)
OPT_LEVELS: dict[int, OptLevel] = {
    0: OptLevel(
        ufw={"FP32": KEEP, "INT8": ()},
        quant={"FP32": OUTLINE, "INT8": (*KEEP, *OUTLINE)},
        tile=(ConvertQuantToTilePass(), TileAllocateDdrPass(), TileAllocateLocalPass()),
        npu=(NpuAssignWaitsPass(serial=True),),
    ),
    1: OVERLAPPED,
    2: replace(
        OVERLAPPED,
        quant={
            "FP32": (
                *FLOAT_LAYERS,
                *CHANNELS_FIRST,
                QuantChooseMatmulPass(),
                *IN_LOCAL_MEMORY,
                QuantFuseSumsPass(),
            ),
            "INT8": (
                *INTEGER_LAYERS,
                *CHANNELS_FIRST,
                *IN_LOCAL_MEMORY,
                QuantCutStripsPass(),
            ),
        },
        tile=(
            ConvertQuantToTilePass(share=2, whole=True, fold=True),
            TileKeepLocalPass(),
            TileMergeLoadsPass(),
            TileAllocateDdrPass(),
            TileAllocateLocalPass(overlap=True),
        ),
        npu=(NpuHoistLoadsPass(), NpuFillWaitsPass(), NpuAssignWaitsPass()),
    ),
}


def _ufw(options: PassOptions) -> Passes:
    return OPT_LEVELS[options.opt].ufw[options.prec or "FP32"]


def _quant(options: PassOptions) -> Passes:
    return (
        ConvertUfwToQuantPass(
            options.input_as_fp32, options.output_as_fp32, fast_functions=options.fast_functions
        ),
        QuantChooseWinogradPass(everywhere=bool(options.use_wino), seed=options.seed),
        QuantFoldConstantsPass(),
        *OPT_LEVELS[options.opt].quant[options.prec or "FP32"],
    )


def _tile(options: PassOptions) -> Passes:
    return OPT_LEVELS[options.opt].tile


def _npu(options: PassOptions) -> Passes:
    return (ConvertTileToNpuPass(), *OPT_LEVELS[options.opt].npu)


STATIC = Way(
    levels=tuple(map(Level, STATIC_LEVELS, (_ufw, _quant, _tile, _npu))),
    verify=lambda options: VerifyLayersPass(options.seed),
    emit=bmodel_of,
    check=check_written,
)
