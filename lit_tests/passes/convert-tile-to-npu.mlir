// RUN: bmnetu-opt -p convert-tile-to-npu --split-input-file %s | filecheck %s

!q = memref<4x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!u = memref<4x8x6x6xui8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!ddr_q = memref<4x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!ddr_u = memref<4x8x6x6xui8, #tile.layout<tensor unit 4 pack 4 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!ddr_w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!kernel = memref<8x8x3x3xsi8, #tile.layout<weights unit 4 pack 4 strides [18, 1, 6, 2]>, #tile.place<lmem 0>>
!bias = memref<1x8x1x1xsi16, #tile.layout<tensor unit 2 pack 1 strides [1, 1, 1, 1]>, #tile.place<lmem 0>>

// Buffers of the network stay, all else becomes commands with absolute addresses: local memory from 0x8000000
// on, DDR with its upper bits beside. What "alias" names was never computed; "y" and "view" are final after the
// store.

// CHECK: tile.input "x"
// CHECK-NEXT: tile.output "y"
// CHECK-NEXT: npu.gdma <"move {{.*}} src_csize=8 src_hsize=6 src_wsize=6 {{.*}} src_start_addr_l32=0x5101000 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">{{$}}
// CHECK-NEXT: npu.tiu <"conv {{.*}}opt_right_shift=7 opt_relu=1 opt_opd0_sign=1 opt_opd1_sign=1 {{.*}} res0_n=4 res0_c=8 res0_h=6 res0_w=6 opd0_c=8 {{.*}} res0_addr=0x8000100 opd0_addr=0x8000000 opd1_addr=0x8000200 opd2_addr=0x8000248
// CHECK-NEXT: npu.gdma <"move direction=1 {{.*}} src_start_addr_l32=0x8000100 dst_start_addr_l32=0x5102000 dst_start_addr_h8=1"> observe [#npu.observe<"y", 4379910144, [4, 8, 6, 6], "uint8", packed>, #npu.observe<"view", 4379910144, [4, 288], "uint8", packed>]
// CHECK-NEXT: func.return
func.func @main() attributes {input_names = ["x"], output_names = ["y"], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 12288 : i64} {
  %x = tile.input "x" shape [4, 8, 6, 6] scale <0.5> bytes 1152 address 4379906048 : !ddr_q
  %y = tile.output "y" shape [4, 8, 6, 6] scale <0.5> bytes 1152 address 4379910144 : !ddr_u
  tile.observe %x "alias" shape [4, 288] : !ddr_q
  %in = tile.alloc bytes 256 address 0 : !q
  %out = tile.alloc bytes 256 address 256 : !u
  %block = tile.alloc bytes 128 address 512 : !kernel
  %bias = tile.view %block offset 72 : !kernel -> !bias
  %in_words = tile.view %in : !q -> !w
  %x_words = tile.view %x : !ddr_q -> !ddr_w
  tile.load %in_words, %x_words : !w, !ddr_w
  tile.conv %out, %in, %block bias %bias : !bias pad [1, 1, 1, 1] shift 7 : !u, !q, !kernel
  %out_words = tile.view %out : !u -> !w
  %y_words = tile.view %y : !ddr_u -> !ddr_w
  tile.store %y_words, %out_words : !ddr_w, !w
  tile.observe %y "y" shape [4, 8, 6, 6] : !ddr_u
  tile.observe %y "view" shape [4, 288] : !ddr_u
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!ddr_w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>

// A tensor that gets another name after other work still stands on the command that wrote it: a later load may
// move in front of that. In local memory likewise.

// CHECK: npu.gdma <"move direction=1 {{.*}}> observe [#npu.observe<"y", {{.*}}>, #npu.observe<"late", {{[0-9]*}}, [8, 36], "float32">]
// CHECK-NEXT: npu.gdma <"move {{.*}}">{{$}}
// CHECK-NEXT: npu.tiu <"arith {{.*}}> observe [#npu.observe<"kept", 256, [1, 8, 6, 6], "float32"{{.*}}>]
// CHECK-NEXT: npu.tiu <"arith {{[^>]*}}">{{$}}
func.func @main() attributes {input_names = ["x"], output_names = ["y"], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 12288 : i64} {
  %x = tile.input "x" shape [1, 8, 6, 6] bytes 1152 address 4379906048 : !ddr_w
  %y = tile.output "y" shape [1, 8, 6, 6] bytes 1152 address 4379910144 : !ddr_w
  %a = tile.alloc bytes 256 address 0 : !w
  %b = tile.alloc bytes 256 address 256 : !w
  %c = tile.alloc bytes 256 address 512 : !w
  tile.store %y, %a : !ddr_w, !w
  tile.observe %y "y" shape [1, 8, 6, 6] : !ddr_w
  tile.load %a, %x : !w, !ddr_w
  tile.arith add %b, %a, %a : !w : !w, !w
  tile.arith add %c, %a, %a : !w : !w, !w
  tile.observe %y "late" shape [8, 36] : !ddr_w
  tile.observe %b "kept" shape [1, 8, 6, 6] : !w
  func.return
}

// -----

!all = memref<1x64x1x32xf32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 32, 1]>, #tile.place<lmem 0>>
!tail = memref<1x1x8x1xf32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 1, 1]>, #tile.place<lmem 62>>

// The steps over images and rows of lanes end with local memory, where there is but one of each.

// CHECK: npu.gdma <"fill {{.*}} dst_nstride=0x18 dst_cstride=0x18 dst_hstride=0x1 {{.*}}">
func.func @main() attributes {input_names = [], output_names = [], coeff_size = 0 : i64, context_address = 4379906048 : i64, context_size = 0 : i64} {
  %all = tile.alloc bytes 128 address 524160 : !all
  %tail = tile.view %all offset 32 : !all -> !tail
  tile.fill %tail value 7 : !tail
  func.return
}

// -----

!q = memref<4x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!words = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>

// A weighted sum is a window of two rows on both tensors: 0x100 bytes apart rows of 64 words, 0x4000 apart 16
// rows of 256, of which the first and the last count. The lower tensor's weight comes first.

// CHECK: npu.tiu <"depthwise {{.*}}opt_right_shift=6 {{.*}} res0_w=36 opd0_h=2 opd0_w=64 opd1_h=2 {{.*}}opd0_addr=0x8000000 opd1_addr=0x8001000 opd2_addr=0x8001008
// CHECK-NEXT: npu.tiu <"depthwise {{.*}}opd1_y_ins0=15 {{.*}}opd0_h=17 opd0_w=256 {{.*}}opd0_addr=0x8000000 opd1_addr=0x8001004 opd2_addr=0x8001008
func.func @main() attributes {input_names = [], output_names = [], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 12288 : i64} {
  %a = tile.alloc bytes 256 address 0 : !q
  %b = tile.alloc bytes 256 address 256 : !q
  %c = tile.alloc bytes 256 address 16384 : !q
  %y = tile.alloc bytes 256 address 512 : !q
  %w = tile.alloc bytes 128 address 4096 : !words
  tile.weighted_sum %y, %a, %b weights %w : !words shift 6 : !q, !q, !q
  tile.weighted_sum %y, %c, %a weights %w : !words shift 6 : !q, !q, !q
  func.return
}
