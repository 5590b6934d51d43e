// RUN: bmnetu-opt -p npu-fill-waits --split-input-file %s | filecheck %s

// The first computation waits for both loads; the other one, which waits for the first load, goes before it.

// CHECK: npu.gdma <"move {{.*}}dst_start_addr_l32=0x8000000 
// CHECK-NEXT: npu.gdma <"move {{.*}}dst_start_addr_l32=0x8004000 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x800c000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8008000 opd0_addr=0x8004000 
func.func @main() {
  npu.gdma <"move stride_enable=0 chw_copy=1 src_wsize=4096 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.gdma <"move stride_enable=0 chw_copy=1 src_wsize=4096 src_start_addr_l32=0x5104000 dst_start_addr_l32=0x8004000 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=4096 res0_addr=0x8008000 opd0_addr=0x8004000 opd1_addr=0x40000000">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=4096 res0_addr=0x800c000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  func.return
}

// -----

// Of the rows of a convolution those go first whose input has been loaded.

// CHECK: npu.gdma <"move {{.*}}dst_start_addr_l32=0x8000000 
// CHECK-NEXT: npu.gdma <"move {{.*}}dst_start_addr_l32=0x8004000 
// CHECK-NEXT: npu.tiu <"max_pool {{.*}}res0_h=32 {{.*}}res0_addr=0x8010000 opd0_addr=0x8000000
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8008000 opd0_addr=0x8004000 
// CHECK-NEXT: npu.gdma <"move {{.*}}dst_start_addr_l32=0x8002000 
// CHECK-NEXT: npu.tiu <"max_pool {{.*}}res0_h=32 {{.*}}res0_addr=0x8012000 opd0_addr=0x8002000
func.func @main() {
  npu.gdma <"move stride_enable=0 chw_copy=1 src_wsize=2048 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.gdma <"move stride_enable=0 chw_copy=1 src_wsize=8192 src_start_addr_l32=0x5104000 dst_start_addr_l32=0x8004000 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=8192 res0_addr=0x8008000 opd0_addr=0x8004000 opd1_addr=0x40000000">
  npu.gdma <"move stride_enable=0 chw_copy=1 src_wsize=2048 src_start_addr_l32=0x5102000 dst_start_addr_l32=0x8002000 src_start_addr_h8=1">
  npu.tiu <"max_pool opt_res0_prec=2 opt_opd0_prec=2 opt_opd1_prec=2 opt_opd2_prec=2 res0_h=64 res0_w=64 opd0_h=64 opd0_w=64 res0_addr=0x8010000 opd0_addr=0x8000000">
  func.return
}

// -----

// What depends on a computation that waits stays behind it.

// CHECK: npu.gdma <"move 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8004000 opd0_addr=0x8000000 
// CHECK-NEXT: npu.tiu <"scalar {{.*}}res0_addr=0x8008000 opd0_addr=0x8004000 
func.func @main() {
  npu.gdma <"move stride_enable=0 chw_copy=1 src_wsize=4096 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=4096 res0_addr=0x8004000 opd0_addr=0x8000000 opd1_addr=0x40000000">
  npu.tiu <"scalar opt_opd1_const=1 res0_w=4096 res0_addr=0x8008000 opd0_addr=0x8004000 opd1_addr=0x40000000">
  func.return
}
