// RUN: bmnetu-opt -p tile-keep-local %s | filecheck %s

!ddr = memref<1x32x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [1152, 36, 6, 1]>, #tile.place<ddr>>
!at_0 = memref<1x32x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!at_32 = memref<1x32x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 32>>

// A load and a store that stay take no way through other lanes; a move that is read stays.

// CHECK: %[[A:.*]] = tile.alloc bytes 256 : !lmem_1x32x6x6xf32
// CHECK: tile.load %[[A]], %{{.*}} : !lmem_1x32x6x6xf32, !ddr_1x32x6x6xf32
// CHECK-NEXT: tile.arith max %[[A]], %[[A]] constant 0
// CHECK: %[[M:.*]] = tile.alloc bytes 256 : !lmem32_1x32x6x6xf32
// CHECK-NEXT: tile.copy %[[M]], %[[A]]
// CHECK-NEXT: tile.arith max %[[M]], %[[M]] constant 1
// CHECK-NEXT: tile.store %{{.*}}, %[[M]]
// CHECK-NEXT: tile.store %{{.*}}, %[[A]]
// CHECK-NOT: tile.copy
func.func @main() attributes {input_names = ["x"], output_names = ["y", "z"]} {
  %x = tile.input "x" shape [1, 32, 6, 6] bytes 4608 : !ddr
  %y = tile.output "y" shape [1, 32, 6, 6] bytes 4608 : !ddr
  %z = tile.output "z" shape [1, 32, 6, 6] bytes 4608 : !ddr
  %in = tile.alloc bytes 256 : !at_32
  %a = tile.alloc bytes 256 : !at_0
  tile.load %in, %x : !at_32, !ddr
  tile.copy %a, %in : !at_0, !at_32
  tile.arith max %a, %a constant 0 : !at_0, !at_0
  %m = tile.alloc bytes 256 : !at_32
  tile.copy %m, %a : !at_32, !at_0
  tile.arith max %m, %m constant 1 : !at_32, !at_32
  tile.store %y, %m : !ddr, !at_32
  %out = tile.alloc bytes 256 : !at_32
  tile.copy %out, %a : !at_32, !at_0
  tile.store %z, %out : !ddr, !at_32
  func.return
}
