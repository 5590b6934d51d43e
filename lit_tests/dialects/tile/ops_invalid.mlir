// RUN: bmnetu-opt --verify-diagnostics --parsing-diagnostics --split-input-file %s | filecheck %s

!q = memref<4x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!d = memref<1x8x6x5xf32, #tile.layout<tensor unit 4 pack 1 strides [240, 30, 5, 1]>, #tile.place<ddr>>

// CHECK: tile.load: both sides must hold equally many elements of one unit
func.func @main() {
  %a = tile.alloc bytes 256 : !w
  %b = tile.alloc bytes 960 : !d
  tile.load %a, %b : !w, !d
  func.return
}

// -----

!bytes = memref<1x8x6x6xsi8, #tile.layout<tensor unit 1 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!words = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>

// CHECK: tile.copy: both sides must hold equally many elements of one unit
func.func @main() {
  %a = tile.alloc bytes 288 : !bytes
  %b = tile.alloc bytes 1152 : !words
  tile.copy %a, %b : !bytes, !words
  func.return
}

// -----

!long = memref<1x1x1x65536xf32, #tile.layout<tensor unit 4 pack 1 strides [65536, 65536, 65536, 1]>, #tile.place<ddr>>

// CHECK: tile.copy: a dimension is above 65535
func.func @main() {
  %a = tile.alloc bytes 262144 : !long
  tile.copy %a, %a : !long, !long
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// CHECK: tile.arith: needs a second tensor or a constant
func.func @main() {
  %a = tile.alloc bytes 256 : !w
  tile.arith add %a, %a : !w, !w
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// CHECK: tile.arith: needs a second tensor or a constant
func.func @main() {
  %a = tile.alloc bytes 256 : !w
  tile.arith add %a, %a, %a : !w constant 3 : !w, !w
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// CHECK: Expected `mul`, `add`, `sub`, or `div`
func.func @main() {
  %a = tile.alloc bytes 256 : !w
  tile.scalar pow %a, %a constant 3 : !w, !w
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// CHECK: tile.max_pool: kernel must be 2 integers of at least 1
func.func @main() {
  %a = tile.alloc bytes 256 : !w
  tile.max_pool %a, %a kernel [2] : !w, !w
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// CHECK: tile.depthwise: pad must be 4 integers of at least 0
func.func @main() {
  %a = tile.alloc bytes 256 : !w
  tile.depthwise %a, %a, %a pad [0, 0, 0, -1] : !w, !w, !w
  func.return
}

// -----

!q = memref<5x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!u = memref<5x8x6x6xui8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!words = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>

// CHECK: tile.weighted_sum: both operands must have one type
func.func @main() {
  %a = tile.alloc bytes 512 : !q
  %b = tile.alloc bytes 512 : !u
  %w = tile.alloc bytes 128 : !words
  tile.weighted_sum %a, %a, %b weights %w : !words : !q, !q, !u
  func.return
}

// -----

!q = memref<5x8x6x6xsi8, #tile.layout<tensor unit 4 pack 4 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!words = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>

// CHECK: tile.weighted_sum: each tensor must be one plane in each lane
func.func @main() {
  %a = tile.alloc bytes 512 : !q
  %b = tile.alloc bytes 512 : !q
  %w = tile.alloc bytes 128 : !words
  tile.weighted_sum %a, %a, %b weights %w : !words : !q, !q, !q
  func.return
}

// -----

// CHECK: tile.alloc: a memref with #tile attributes is required, this is memref<1x8x6x6xf32>
func.func @main() {
  %a = tile.alloc bytes 256 : memref<1x8x6x6xf32>
  func.return
}

// -----

// CHECK: a layout has a unit of 1, 2, 4 or 8 bytes, a pack of 1, 2 or 4 elements and four strides, not 4, 0 and [64, 64, 8, 1]
func.func @main() {
  %a = tile.alloc bytes 256 : memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 0 strides [64, 64, 8, 1]>, #tile.place<ddr>>
  func.return
}

// -----

// CHECK: there is no lane 64 in lmem
func.func @main() {
  %a = tile.alloc bytes 256 : memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 8, 1]>, #tile.place<lmem 64>>
  func.return
}

// -----

// CHECK: a pack of 1, 2 or 4 elements and four strides, not 4, 1 and [64, 8, 1]
func.func @main() {
  %a = tile.alloc bytes 256 : memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 8, 1]>, #tile.place<ddr>>
  func.return
}

// -----

// CHECK: Expected `ddr`, `lmem`, or `l2`
func.func @main() {
  %a = tile.alloc bytes 256 : memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 8, 1]>, #tile.place<l3>>
  func.return
}

// -----

!wide = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 8, 1]>, #tile.place<lmem 0>>

// CHECK: tile.scalar: the command takes tensors with aligned strides only
func.func @main() {
  %a = tile.alloc bytes 256 : !wide
  tile.scalar mul %a, %a constant 0 : !wide, !wide
  func.return
}
