"""The passes. One file a pass; ``ALL_PASSES`` is the list that the tools know."""

from xdsl.passes import ModulePass

from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.convert_tile_to_npu import ConvertTileToNpuPass
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.keep_reference import KeepReferencePass
from passes.npu.npu_assign_waits import NpuAssignWaitsPass
from passes.npu.npu_hoist_loads import NpuHoistLoadsPass
from passes.quant.quant_choose_winograd import QuantChooseWinogradPass
from passes.quant.quant_cut_strips import QuantCutStripsPass
from passes.quant.quant_fuse_relu import QuantFuseReluPass
from passes.quant.quant_merge_groups import QuantMergeGroupsPass
from passes.quant.quant_slice_batch import QuantSliceBatchPass
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from passes.tile.tile_allocate_ddr import TileAllocateDdrPass
from passes.tile.tile_allocate_local import TileAllocateLocalPass
from passes.tile.tile_keep_local import TileKeepLocalPass
from passes.ufw.ufw_fold_batch_norm import UfwFoldBatchNormPass
from passes.verify_layers import VerifyLayersPass

ALL_PASSES: tuple[type[ModulePass], ...] = (
    KeepReferencePass,
    UfwFoldBatchNormPass,
    ConvertUfwToQuantPass,
    QuantChooseWinogradPass,
    QuantFuseReluPass,
    QuantMergeGroupsPass,
    QuantSliceBatchPass,
    QuantSliceRowsPass,
    QuantCutStripsPass,
    ConvertQuantToTilePass,
    TileKeepLocalPass,
    TileAllocateDdrPass,
    TileAllocateLocalPass,
    ConvertTileToNpuPass,
    NpuHoistLoadsPass,
    NpuAssignWaitsPass,
    VerifyLayersPass,
)
