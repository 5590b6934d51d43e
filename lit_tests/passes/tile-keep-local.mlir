// RUN: bmnetu-opt -p tile-keep-local --split-input-file %s | filecheck %s

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// The second layer's load is gone: it reads the first one's result where it was made, and the tensor between
// them is observed there instead of being stored. The network's output is stored.

// CHECK: %x = tile.alloc bytes 256
// CHECK: tile.load %x, %{{.*}}
// CHECK: %y = tile.alloc bytes 256
// CHECK-NEXT: tile.arith max %y, %x constant 0
// CHECK-NOT: tile.store
// CHECK: tile.observe %y "first" shape [1, 8, 6, 6]
// CHECK-NOT: tile.load
// CHECK: tile.arith min %z, %y constant 0
// CHECK-NEXT: tile.store %out, %z
// CHECK-NEXT: tile.observe %out "second"
func.func @main() {
  %in = tile.input "in" shape [1, 8, 6, 6] bytes 1152 : !w
  %out = tile.output "out" shape [1, 8, 6, 6] bytes 1152 : !w
  %x = tile.alloc bytes 256 : !l
  tile.load %x, %in : !l, !w
  %y = tile.alloc bytes 256 : !l
  tile.arith max %y, %x constant 0 : !l, !l
  %d = tile.alloc bytes 1152 : !w
  tile.store %d, %y : !w, !l
  tile.observe %d "first" shape [1, 8, 6, 6] : !w
  %again = tile.alloc bytes 256 : !l
  tile.load %again, %d : !l, !w
  %z = tile.alloc bytes 256 : !l
  tile.arith min %z, %again constant 0 : !l, !l
  tile.store %out, %z : !w, !l
  tile.observe %out "second" shape [1, 8, 6, 6] : !w
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// The buffer that was stored is written again before the load, so the load must stay.

// CHECK: tile.store %d, %y
// CHECK: tile.load %again, %d
func.func @main() {
  %in = tile.input "in" shape [1, 8, 6, 6] bytes 1152 : !w
  %out = tile.output "out" shape [1, 8, 6, 6] bytes 1152 : !w
  %y = tile.alloc bytes 256 : !l
  tile.load %y, %in : !l, !w
  %d = tile.alloc bytes 1152 : !w
  tile.store %d, %y : !w, !l
  tile.arith max %y, %y constant 0 : !l, !l
  %again = tile.alloc bytes 256 : !l
  tile.load %again, %d : !l, !w
  tile.arith add %again, %again, %y : !l : !l, !l
  tile.store %out, %again : !w, !l
  func.return
}

// -----

!w = memref<1x64x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [2304, 36, 6, 1]>, #tile.place<ddr>>
!l = memref<1x64x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!ww = memref<1x128x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [4608, 36, 6, 1]>, #tile.place<ddr>>
!ll = memref<1x128x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [128, 64, 6, 1]>, #tile.place<lmem 0>>

// Two tensors of 64 channels make up one of 128: they are made in its place in local memory, and the second is
// read there, as a slice.

// CHECK: %[[HOME:.*]] = tile.alloc bytes 512
// CHECK-NEXT: %[[FIRST:.*]] = tile.view %[[HOME]] :
// CHECK-NEXT: tile.arith max %[[FIRST]], %x constant 0
// CHECK-NEXT: %[[SECOND:.*]] = tile.view %[[HOME]] offset 256
// CHECK-NEXT: tile.arith min %[[SECOND]], %x constant 0
// CHECK-NEXT: tile.observe %[[HOME]] "concat"
// CHECK: tile.arith max %z, %[[HOME]] constant 0
// CHECK: %[[PART:.*]] = tile.view %[[HOME]] offset 256
// CHECK: tile.arith max %slice, %[[PART]] constant 0
func.func @main() {
  %in = tile.input "in" shape [1, 64, 6, 6] bytes 9216 : !w
  %out = tile.output "out" shape [1, 128, 6, 6] bytes 18432 : !ww
  %out2 = tile.output "out2" shape [1, 64, 6, 6] bytes 9216 : !w
  %x = tile.alloc bytes 256 : !l
  tile.load %x, %in : !l, !w
  %d = tile.alloc bytes 18432 : !ww
  %d1 = tile.view %d offset 0 : !ww -> !w
  %d2 = tile.view %d offset 9216 : !ww -> !w
  %y1 = tile.alloc bytes 256 : !l
  tile.arith max %y1, %x constant 0 : !l, !l
  tile.store %d1, %y1 : !w, !l
  %y2 = tile.alloc bytes 256 : !l
  tile.arith min %y2, %x constant 0 : !l, !l
  tile.store %d2, %y2 : !w, !l
  tile.observe %d "concat" shape [1, 128, 6, 6] : !ww
  %again = tile.alloc bytes 512 : !ll
  tile.load %again, %d : !ll, !ww
  %z = tile.alloc bytes 512 : !ll
  tile.arith max %z, %again constant 0 : !ll, !ll
  tile.store %out, %z : !ww, !ll
  %part = tile.alloc bytes 256 : !l
  tile.load %part, %d2 : !l, !w
  %slice = tile.alloc bytes 256 : !l
  tile.arith max %slice, %part constant 0 : !l, !l
  tile.store %out2, %slice : !w, !l
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// A tensor is loaded, changed and stored as another one: that is made where the first one lies.

// CHECK: tile.arith max %y, %x constant 0
// CHECK-NOT: tile.load
// CHECK: tile.arith add %y, %y, %x
// CHECK-NEXT: tile.store %out, %y
func.func @main() {
  %in = tile.input "in" shape [1, 8, 6, 6] bytes 1152 : !w
  %out = tile.output "out" shape [1, 8, 6, 6] bytes 1152 : !w
  %x = tile.alloc bytes 256 : !l
  tile.load %x, %in : !l, !w
  %y = tile.alloc bytes 256 : !l
  tile.arith max %y, %x constant 0 : !l, !l
  %d = tile.alloc bytes 1152 : !w
  tile.store %d, %y : !w, !l
  %again = tile.alloc bytes 256 : !l
  tile.load %again, %d : !l, !w
  tile.arith add %again, %again, %x : !l : !l, !l
  tile.store %out, %again : !w, !l
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// Not where the first one is read once more behind that: its load stays.

// CHECK: tile.store %d, %y
// CHECK: tile.load %again, %d
// CHECK-NEXT: tile.arith add %again, %again, %x
func.func @main() {
  %in = tile.input "in" shape [1, 8, 6, 6] bytes 1152 : !w
  %out = tile.output "out" shape [1, 8, 6, 6] bytes 1152 : !w
  %out2 = tile.output "out2" shape [1, 8, 6, 6] bytes 1152 : !w
  %x = tile.alloc bytes 256 : !l
  tile.load %x, %in : !l, !w
  %y = tile.alloc bytes 256 : !l
  tile.arith max %y, %x constant 0 : !l, !l
  %d = tile.alloc bytes 1152 : !w
  tile.store %d, %y : !w, !l
  %again = tile.alloc bytes 256 : !l
  tile.load %again, %d : !l, !w
  tile.arith add %again, %again, %x : !l : !l, !l
  tile.store %out, %again : !w, !l
  %late = tile.alloc bytes 256 : !l
  tile.load %late, %d : !l, !w
  %z = tile.alloc bytes 256 : !l
  tile.arith min %z, %late constant 0 : !l, !l
  tile.store %out2, %z : !w, !l
  func.return
}
