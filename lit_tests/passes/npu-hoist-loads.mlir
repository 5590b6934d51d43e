// RUN: bmnetu-opt -p npu-hoist-loads --split-input-file %s | filecheck %s

// Two tiles: the second load comes before the first store, so that it runs while the first tile is computed.

// CHECK: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8001000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100080 dst_start_addr_l32=0x8000200 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8001200 opd0_addr=0x8000200 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001200 dst_start_addr_l32=0x5100180 
func.func @main() {
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100080 dst_start_addr_l32=0x8000200 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001200 opd0_addr=0x8000200 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001200 dst_start_addr_l32=0x5100180 dst_start_addr_h8=1">
  func.return
}

// -----

// A load of what the store has written stays behind it.

// CHECK: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8001000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 
// CHECK-NEXT: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100100 dst_start_addr_l32=0x8000200 
func.func @main() {
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100100 dst_start_addr_l32=0x8000200 src_start_addr_h8=1">
  func.return
}

// -----

// So does one that overwrites what the store reads.

// CHECK: npu.tiu <"scalar {{.*}}res0_addr=0x8001000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 
// CHECK-NEXT: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8001000 
func.func @main() {
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8001000 src_start_addr_h8=1">
  func.return
}

// -----

// A load that must wait longer for the TIU than the store would hold the store up.

// CHECK: npu.tiu <"scalar {{.*}}res0_addr=0x8001000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8001200 opd0_addr=0x8000200 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 
// CHECK-NEXT: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000200 
func.func @main() {
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001200 opd0_addr=0x8000200 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000200 src_start_addr_h8=1">
  func.return
}

// -----

// Loads keep their order; two stores are overtaken.

// CHECK: npu.tiu <"scalar {{.*}}res0_addr=0x8001000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000400 
// CHECK-NEXT: npu.gdma <"move {{.*}}src_start_addr_l32=0x5100080 dst_start_addr_l32=0x8000600 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}}src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100180 
func.func @main() {
  npu.tiu <"scalar opt_opd1_const=1 res0_w=32 res0_addr=0x8001000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100100 dst_start_addr_h8=1">
  npu.gdma <"move direction=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5100180 dst_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000400 src_start_addr_h8=1">
  npu.gdma <"move chw_copy=1 src_wsize=32 src_start_addr_l32=0x5100080 dst_start_addr_l32=0x8000600 src_start_addr_h8=1">
  func.return
}
