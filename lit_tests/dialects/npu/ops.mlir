// RUN: bmnetu-opt %s | bmnetu-opt --print-op-generic | bmnetu-opt | filecheck %s

// One op of each engine is one line; a command prints the fields that differ from their default.

// CHECK: func.func @main
func.func @main() {
// CHECK-NEXT: npu.gdma <"move cmd_id=1 src_nstride=0x10 src_cstride=0x10 src_hstride=0x10 dst_nstride=0x20 dst_cstride=0x20 dst_hstride=0x10 src_csize=8 src_wsize=16 dst_nsize=1 dst_csize=8 dst_hsize=1 dst_wsize=16 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">{{$}}
  npu.gdma <"move cmd_id=1 src_nstride=0x10 src_cstride=0x10 src_hstride=0x10 dst_nstride=0x20 dst_cstride=0x20 dst_hstride=0x10 src_csize=8 src_wsize=16 dst_nsize=1 dst_csize=8 dst_hsize=1 dst_wsize=16 src_start_addr_l32=0x5100000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
// CHECK-NEXT: npu.tiu <"arith cmd_id_tpu=1 cmd_id_gdma=1 tsk_eu_typ=2
  npu.tiu <"arith cmd_id_tpu=1 cmd_id_gdma=1 tsk_eu_typ=2 tsk_opd_num=2 opt_opd1_const=1 res0_n=1 res0_c=8 res0_h=1 res0_w=16 opd1_addr=0x3f800000 res0_addr=0x8000100 opd0_addr=0x8000000">
// CHECK-NEXT: npu.gdma <"fill direction=2 cmd_id=2
// CHECK-SAME: > observe [#npu.observe<"conv/bn", 4379906048, [1, 8, 1, 16], "float32">, #npu.observe<"a \22quoted\22 name", 4379906176, [5, 7], "int8", packed>, #npu.observe<"turned", 128, [1, 3, 1, 1], "float32" channels [2, 0, 1] "1,3,1,1 32,32,1,1 40">, #npu.observe<"rows", 4379906048, [1, 3, 2, 4], "float32" part 2 2 of 8 far "1,3,2,4 96,32,4,1">]
  npu.gdma <"fill direction=2 cmd_id=2 eng0_sync_id=1 dst_nsize=1 dst_csize=1 dst_hsize=1 dst_wsize=1 dst_start_addr_l32=0x5102000 dst_start_addr_h8=1"> observe [#npu.observe<"conv/bn", 4379906048, [1, 8, 1, 16], "float32">, #npu.observe<"a \"quoted\" name", 4379906176, [5, 7], "int8", packed>, #npu.observe<"turned", 128, [1, 3, 1, 1], "float32" channels [2, 0, 1] "1,3,1,1 32,32,1,1 40">, #npu.observe<"rows", 4379906048, [1, 3, 2, 4], "float32" part 2 2 of 8 far "1,3,2,4 96,32,4,1">]
// CHECK-NEXT: func.return
  func.return
}
