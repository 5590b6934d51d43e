// RUN: bmnetu-opt %s | bmnetu-opt --print-op-generic | bmnetu-opt | filecheck %s

// Every op of the dialect comes back as it was written, after a turn through the generic form.

!ddr_q = memref<5x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!ddr_u = memref<5x8x6x6xui8, #tile.layout<tensor unit 4 pack 4 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!ddr_w = memref<2x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!q = memref<5x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!four = memref<4x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!w = memref<2x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!u = memref<5x8x6x6xui8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!h = memref<5x8x6x6xsi16, #tile.layout<tensor unit 4 pack 2 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!f = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!i = memref<1x8x6x6xi32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!small = memref<5x8x3x3xsi8, #tile.layout<tensor unit 4 pack 4 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!words = memref<1x8x1x24xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 24, 1]>, #tile.place<lmem 0>>
!ddr_words = memref<1x8x1x24xi32, #tile.layout<tensor unit 4 pack 1 strides [192, 24, 24, 1]>, #tile.place<ddr>>
!kernel = memref<8x8x3x3xsi8, #tile.layout<weights unit 4 pack 4 strides [18, 1, 6, 2]>, #tile.place<lmem 0>>
!taps = memref<8x1x3x3xsi8, #tile.layout<weights unit 1 pack 1 strides [9, 1, 3, 1]>, #tile.place<lmem 0>>
!kernel_f = memref<8x8x1x1xf32, #tile.layout<weights unit 8 pack 2 strides [4, 1, 4, 4]>, #tile.place<lmem 0>>
!bias = memref<1x8x1x1xsi16, #tile.layout<tensor unit 2 pack 1 strides [1, 1, 1, 1]>, #tile.place<lmem 0>>
!lane5 = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 5>>
!table = memref<1x1x1x256xi32, #tile.layout<tensor unit 4 pack 1 strides [256, 256, 256, 1]>, #tile.place<l2>>
!ddr_table = memref<1x1x1x256xi32, #tile.layout<tensor unit 4 pack 1 strides [256, 256, 256, 1]>, #tile.place<ddr>>

// Types that are printed have aliases.

// CHECK-DAG: !ddr_5x8x6x6xsi8 = memref<5x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [288, 36, 6, 1]>, #tile.place<ddr>>
// CHECK-DAG: !lmem_8x8x3x3xsi8 = memref<8x8x3x3xsi8, #tile.layout<weights unit 4 pack 4 strides [18, 1, 6, 2]>, #tile.place<lmem 0>>
// CHECK-DAG: !lmem5_1x8x6x6xf32 = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 5>>
// CHECK-DAG: !l2_1x1x1x256xi32 = memref<1x1x1x256xi32, #tile.layout<tensor unit 4 pack 1 strides [256, 256, 256, 1]>, #tile.place<l2>>
// CHECK: func.func @main
func.func @main() {
// CHECK-NEXT: %in = tile.input "data" shape [5, 8, 6, 6] scale <0.5> bytes 2304 address 4379906048 : !ddr_5x8x6x6xsi8
  %in = tile.input "data" shape [5, 8, 6, 6] scale <0.5> bytes 2304 address 4379906048 : !ddr_q
// CHECK-NEXT: %prob = tile.output "prob" shape [5, 288] bytes 2304 :
  %prob = tile.output "prob" shape [5, 288] bytes 2304 : !ddr_u
// CHECK-NEXT: %weights = tile.constant <"c49da48946958a32", "uint32", [1, 8, 1, 24]> address 4379901952 : !ddr_1x8x1x24xi32
  %weights = tile.constant <"c49da48946958a32", "uint32", [1, 8, 1, 24]> address 4379901952 : !ddr_words
// CHECK-NEXT: %sine = tile.constant <"5250a507f994740e", "uint32", [1, 1, 1, 256]> :
  %sine = tile.constant <"5250a507f994740e", "uint32", [1, 1, 1, 256]> : !ddr_table
// CHECK-NEXT: %lane5 = tile.alloc bytes 256 address 128 :
  %lane5 = tile.alloc bytes 256 address 128 : !lane5
// CHECK-NEXT: %table = tile.alloc bytes 1024 :
  %table = tile.alloc bytes 1024 : !table
// CHECK-NEXT: %words = tile.alloc bytes 128 :
  %words = tile.alloc bytes 128 : !words
// CHECK-NEXT: %q = tile.alloc bytes 512 :
  %q = tile.alloc bytes 512 : !q
// CHECK-NEXT: %u = tile.alloc bytes 512 :
  %u = tile.alloc bytes 512 : !u
// CHECK-NEXT: %h = tile.alloc bytes 768 :
  %h = tile.alloc bytes 768 : !h
// CHECK-NEXT: %f = tile.alloc bytes 256 :
  %f = tile.alloc bytes 256 : !f
// CHECK-NEXT: %g = tile.alloc bytes 256 :
  %g = tile.alloc bytes 256 : !f
// CHECK-NEXT: %kernel = tile.view %words : !lmem_1x8x1x24xi32 -> !lmem_8x8x3x3xsi8
  %kernel = tile.view %words : !words -> !kernel
// CHECK-NEXT: %bias = tile.view %words offset 72 :
  %bias = tile.view %words offset 72 : !words -> !bias
// CHECK-NEXT: %taps = tile.view %words :
  %taps = tile.view %words : !words -> !taps
// CHECK-NEXT: %kernel_f = tile.view %words :
  %kernel_f = tile.view %words : !words -> !kernel_f
// CHECK-NEXT: %bits = tile.view %f :
  %bits = tile.view %f : !f -> !i
// CHECK-NEXT: %small = tile.view %u :
  %small = tile.view %u : !u -> !small
// CHECK-NEXT: %from = tile.view %in :
  %from = tile.view %in : !ddr_q -> !ddr_w
// CHECK-NEXT: %to = tile.view %q :
  %to = tile.view %q : !q -> !w
// CHECK-NEXT: tile.load %to, %from : !lmem_2x8x6x6xf32, !ddr_2x8x6x6xf32
  tile.load %to, %from : !w, !ddr_w
// CHECK-NEXT: tile.load %words, %weights :
  tile.load %words, %weights : !words, !ddr_words
// CHECK-NEXT: tile.copy %table, %sine :
  tile.copy %table, %sine : !table, !ddr_table
// CHECK-NEXT: tile.fill %g value 1065353216 :
  tile.fill %g value 1065353216 : !f
// CHECK-NEXT: tile.conv %u, %q, %kernel bias %bias :
  tile.conv %u, %q, %kernel bias %bias : !bias pad [1, 1, 1, 1] shift 7 : !u, !q, !kernel
// CHECK-NEXT: tile.conv %f, %g, %kernel_f accumulate true :
  tile.conv %f, %g, %kernel_f accumulate true : !f, !f, !kernel_f
// CHECK-NEXT: tile.conv %f, %g, %kernel_f winograd true :
  tile.conv %f, %g, %kernel_f winograd true : !f, !f, !kernel_f
// CHECK-NEXT: tile.depthwise %small, %q, %taps bias %bias :
  tile.depthwise %small, %q, %taps bias %bias : !bias stride [2, 2] pad [0, 1, 1, 0] dilation [2, 1] shift 3 : !small, !q, !taps
// CHECK-NEXT: %four = tile.view %q :
  %four = tile.view %q : !q -> !four
// CHECK-NEXT: tile.weighted_sum %four, %four, %four weights %words :
  tile.weighted_sum %four, %four, %four weights %words : !words shift 6 : !four, !four, !four
// CHECK-NEXT: tile.max_pool %small, %q kernel [2, 2] stride [2, 2] :
  tile.max_pool %small, %q kernel [2, 2] stride [2, 2] : !small, !q
// CHECK-NEXT: tile.average_pool %small, %q kernel [3, 3] factor 57 shift 9 stride [2, 2] pad [0, 1, 0, 1] :
  tile.average_pool %small, %q kernel [3, 3] factor 57 shift 9 stride [2, 2] pad [0, 1, 0, 1] : !small, !q
// CHECK-NEXT: tile.arith mul %h, %q, %u :
  tile.arith mul %h, %q, %u : !u shift 2 : !h, !q
// CHECK-NEXT: tile.arith add %u, %h constant 0 signed false shift 4 :
  tile.arith add %u, %h constant 0 signed false shift 4 : !u, !h
// CHECK-NEXT: tile.arith copy %u, %q :
  tile.arith copy %u, %q : !u, !q
// CHECK-NEXT: tile.scalar add %f, %f, %g :
  tile.scalar add %f, %f, %g : !f : !f, !f
// CHECK-NEXT: tile.scalar div %f, %g constant 1065353216 first true :
  tile.scalar div %f, %g constant 1065353216 first true : !f, !f
// CHECK-NEXT: tile.arith gt %f, %f, %g :
  tile.arith gt %f, %f, %g : !f : !f, !f
// CHECK-NEXT: tile.select %f, %f constants [0, 1065353216, 0] :
  tile.select %f, %f constants [0, 1065353216, 0] : !f, !f
// CHECK-NEXT: tile.select %f, %f than %g :
  tile.select %f, %f than %g : !f then %g : !f else %f : !f : !f, !f
// CHECK-NEXT: tile.sfu taylor %f, %g table %table :
  tile.sfu taylor %f, %g table %table : !table terms 7 : !f, !f
// CHECK-NEXT: tile.sfu exponent %bits, %g :
  tile.sfu exponent %bits, %g : !i, !f
// CHECK-NEXT: tile.lookup %f, %bits table %table :
  tile.lookup %f, %bits table %table : !table : !f, !i
// CHECK-NEXT: tile.lookup %f, %bits offset 3147776 :
  tile.lookup %f, %bits offset 3147776 : !f, !i
// CHECK-NEXT: %out = tile.view %prob :
  %out = tile.view %prob : !ddr_u -> !ddr_w
// CHECK-NEXT: %result = tile.view %u :
  %result = tile.view %u : !u -> !w
// CHECK-NEXT: tile.store %out, %result :
  tile.store %out, %result : !ddr_w, !w
// CHECK-NEXT: tile.observe %prob "prob" shape [5, 288] : !ddr_5x8x6x6xui8
  tile.observe %prob "prob" shape [5, 288] : !ddr_u
// CHECK-NEXT: tile.observe %prob "turned" shape [5, 8, 6, 6] channels [1, 0, 2, 3, 4, 5, 6, 7] : !ddr_5x8x6x6xui8
  tile.observe %prob "turned" shape [5, 8, 6, 6] channels [1, 0, 2, 3, 4, 5, 6, 7] : !ddr_u
  func.return
}
