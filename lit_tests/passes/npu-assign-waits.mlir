// RUN: bmnetu-opt -p npu-assign-waits --split-input-file %s | filecheck %s
// RUN: bmnetu-opt -p 'npu-assign-waits{serial=true}' --split-input-file %s | filecheck %s --check-prefix SERIAL

// Each engine counts its own commands. A command waits for the last one of the other engine that it conflicts
// with: the first product for the first load, the second for the second, the stores for theirs; the last load,
// which overwrites what the first product read, is covered by the wait of the stores before it.

// CHECK: npu.gdma <"move cmd_id=1 chw_copy=1 src_wsize
// CHECK-NEXT: npu.gdma <"move cmd_id=2 chw_copy=1 src_wsize
// CHECK-NEXT: npu.tiu <"scalar cmd_id_tpu=1 cmd_id_gdma=1 opt_
// CHECK-NEXT: npu.tiu <"scalar cmd_id_tpu=2 cmd_id_gdma=2 opt_
// CHECK-NEXT: npu.gdma <"move direction=1 cmd_id=3 chw_copy=1 eng0_sync_id=1 src_wsize
// CHECK-NEXT: npu.gdma <"move direction=1 cmd_id=4 chw_copy=1 eng0_sync_id=2 src_wsize
// CHECK-NEXT: npu.gdma <"move cmd_id=5 chw_copy=1 src_wsize

// Serial: everything waits for everything before it.

// SERIAL: npu.gdma <"move cmd_id=1 chw_copy=1 src_wsize
// SERIAL-NEXT: npu.gdma <"move cmd_id=2 chw_copy=1 src_wsize
// SERIAL-NEXT: npu.tiu <"scalar cmd_id_tpu=1 cmd_id_gdma=2 opt_
// SERIAL-NEXT: npu.tiu <"scalar cmd_id_tpu=2 cmd_id_gdma=2 opt_
// SERIAL-NEXT: npu.gdma <"move direction=1 cmd_id=3 chw_copy=1 eng0_sync_id=2 src_wsize
// SERIAL-NEXT: npu.gdma <"move direction=1 cmd_id=4 chw_copy=1 eng0_sync_id=2 src_wsize
// SERIAL-NEXT: npu.gdma <"move cmd_id=5 chw_copy=1 eng0_sync_id=2 src_wsize
func.func @main() {
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100080 dst_start_addr_l32=0x8000200 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001200 opd0_addr=0x8000200 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001200 dst_start_addr_l32=0x5100180 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  func.return
}

// -----

// Two reads of the same bytes are no conflict; a write of what the other engine wrote is one.

// CHECK: npu.tiu <"scalar cmd_id_tpu=1 opt_
// CHECK-NEXT: npu.gdma <"move direction=1 cmd_id=1 chw_copy=1 src_wsize
// CHECK-NEXT: npu.gdma <"move cmd_id=2 chw_copy=1 eng0_sync_id=1 src_wsize
func.func @main() {
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8000000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100080 dst_start_addr_l32=0x8001000 src_start_addr_h8=1">
  func.return
}
