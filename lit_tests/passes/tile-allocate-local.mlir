// RUN: bmnetu-opt -p tile-allocate-local --split-input-file %s | filecheck %s
// RUN: bmnetu-opt -p 'tile-allocate-local{overlap=true}' --split-input-file %s | filecheck %s --check-prefix OVERLAP
// RUN: bmnetu-opt -p 'tile-allocate-local{overlap=true timed=true}' --split-input-file %s | filecheck %s --check-prefix TIMED

!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!v = memref<1x8x1x36xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 36, 1]>, #tile.place<lmem 0>>
!t = memref<1x1x1x256xi32, #tile.layout<tensor unit 4 pack 1 strides [256, 256, 256, 1]>, #tile.place<l2>>
!d = memref<1x1x1x256xi32, #tile.layout<tensor unit 4 pack 1 strides [256, 256, 256, 1]>, #tile.place<ddr>>

// %c lies where %a was, which a view read last. With overlap it does so too, for it is computed, but the loaded %e
// lies where nothing was. By time, what is computed lies at the end. L2 is a memory of its own, and buffers in DDR are
// not this pass's.

// CHECK: %a = tile.alloc bytes 256 address 0 :
// CHECK: %b = tile.alloc bytes 256 address 256 :
// CHECK: %c = tile.alloc bytes 256 address 0 :
// CHECK: %e = tile.alloc bytes 256 address 256 :
// CHECK: %d = tile.alloc bytes 1024 :
// CHECK: %t = tile.alloc bytes 1024 address 0 :
// OVERLAP: %a = tile.alloc bytes 256 address 0 :
// OVERLAP: %b = tile.alloc bytes 256 address 256 :
// OVERLAP: %c = tile.alloc bytes 256 address 0 :
// OVERLAP: %e = tile.alloc bytes 256 address 512 :
// TIMED: %a = tile.alloc bytes 256 address 0 :
// TIMED: %b = tile.alloc bytes 256 address 523776 :
// TIMED: %c = tile.alloc bytes 256 address 524032 :
// TIMED: %e = tile.alloc bytes 256 address 256 :
func.func @main() {
  %a = tile.alloc bytes 256 : !l
  tile.fill %a value 0 : !l
  %b = tile.alloc bytes 256 : !l
  %view = tile.view %a : !l -> !v
  %view_b = tile.view %b : !l -> !v
  tile.arith copy %view_b, %view : !v, !v
  %c = tile.alloc bytes 256 : !l
  tile.arith add %c, %b, %b : !l : !l, !l
  %e = tile.alloc bytes 256 : !l
  tile.fill %e value 0 : !l
  %d = tile.alloc bytes 1024 : !d
  %t = tile.alloc bytes 1024 : !t
  tile.copy %t, %d : !t, !d
  tile.lookup %c, %e table %t : !t : !l, !l
  func.return
}

// -----

!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// With overlap the loads of %b need not wait for %a's; without it %b takes its place.

// CHECK: %c = tile.alloc bytes 262144 address 262144 :
// OVERLAP: %c = tile.alloc bytes 262144 address 0 :
// TIMED: %b = tile.alloc bytes 262144 address 0 :
// TIMED: %c = tile.alloc bytes 262144 address 262144 :
func.func @main() {
  %a = tile.alloc bytes 262144 : !l
  tile.fill %a value 0 : !l
  %b = tile.alloc bytes 262144 : !l
  tile.fill %b value 0 : !l
  %c = tile.alloc bytes 262144 : !l
  tile.arith add %c, %b, %b : !l : !l, !l
  func.return
}
