// RUN: bmnetu-opt -p 'tile-merge-loads{late=800}' --weights %S/Inputs/weights.npz --split-input-file %s | filecheck %s
// RUN: bmnetu-opt -p tile-merge-loads --weights %S/Inputs/weights.npz --split-input-file %s | filecheck %s --check-prefix OFF

!x = memref<1x4x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!y = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!da = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [24, 3, 3, 1]>, #tile.place<ddr>>
!la = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!wa = memref<8x1x1x3xf32, #tile.layout<weights unit 4 pack 1 strides [3, 1, 3, 1]>, #tile.place<lmem 0>>
!db = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [20, 5, 5, 1]>, #tile.place<ddr>>
!lb = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 5, 1]>, #tile.place<lmem 6>>
!wb = memref<4x8x1x1xf32, #tile.layout<weights unit 8 pack 2 strides [4, 1, 4, 4]>, #tile.place<lmem 6>>
!bb = memref<1x4x1x1xf32, #tile.layout<tensor unit 4 pack 1 strides [1, 1, 1, 1]>, #tile.place<lmem 6>>
!z = memref<1x4x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 6>>

// Words of lanes 0 to 7, then, from an even word on, of lanes 6 to 9.

// CHECK-LABEL: func.func @together
// CHECK: %[[ALL:.*]] = tile.alloc bytes 128 : !lmem_1x10x1x9xi32
// CHECK-NEXT: %[[A:.*]] = tile.view %[[ALL]] : !lmem_1x10x1x9xi32 -> !lmem_1x8x1x3xi32
// CHECK-NEXT: %[[B:.*]] = tile.view %[[ALL]] offset 16 : !lmem_1x10x1x9xi32 -> !lmem6_1x4x1x5xi32
// CHECK-NEXT: tile.constant <"{{.*}}", "uint32", [1, 10, 1, 9]>
// CHECK: tile.load
// CHECK-NEXT: tile.view %[[A]] : {{.*}} -> !lmem_8x1x1x3xf32
// CHECK: tile.depthwise
// CHECK-NOT: tile.load
// CHECK: tile.view %[[B]] : {{.*}} -> !lmem6_4x8x1x1xf32
// CHECK: tile.view %[[B]] offset 16 : {{.*}} -> !lmem6_1x4x1x1xf32
// CHECK: tile.conv
// OFF: tile.load
// OFF: tile.depthwise
// OFF: tile.load
// OFF: tile.conv
func.func @together() {
  %x = tile.alloc bytes 256 : !y
  %a = tile.constant <"9581594086029934", "uint32", [1, 8, 1, 3]> : !da
  %la = tile.alloc bytes 128 : !la
  tile.load %la, %a : !la, !da
  %wa = tile.view %la : !la -> !wa
  %y = tile.alloc bytes 256 : !y
  tile.depthwise %y, %x, %wa pad [0, 0, 1, 1] : !y, !y, !wa
  %b = tile.constant <"e3ae3d5007186bc6", "uint32", [1, 4, 1, 5]> : !db
  %lb = tile.alloc bytes 128 : !lb
  tile.load %lb, %b : !lb, !db
  %wb = tile.view %lb : !lb -> !wb
  %bb = tile.view %lb offset 16 : !lb -> !bb
  %z = tile.alloc bytes 256 : !z
  tile.conv %z, %y, %wb bias %bb : !bb : !z, !y, !wb
  func.return
}

// -----

!y = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!da = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [24, 3, 3, 1]>, #tile.place<ddr>>
!la = memref<1x8x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!wa = memref<8x1x1x3xf32, #tile.layout<weights unit 4 pack 1 strides [3, 1, 3, 1]>, #tile.place<lmem 0>>
!db = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [20, 5, 5, 1]>, #tile.place<ddr>>
!lb = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 5, 1]>, #tile.place<lmem 0>>
!wb = memref<4x8x1x1xf32, #tile.layout<weights unit 8 pack 2 strides [4, 1, 4, 4]>, #tile.place<lmem 0>>
!bb = memref<1x4x1x1xf32, #tile.layout<tensor unit 4 pack 1 strides [1, 1, 1, 1]>, #tile.place<lmem 0>>
!z = memref<1x4x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// Between the two convolutions there is no place for weights.

// CHECK-LABEL: func.func @full
// CHECK: tile.load
// CHECK: tile.depthwise
// CHECK: tile.load
// CHECK: tile.conv
func.func @full() {
  %x = tile.alloc bytes 256 : !y
  %a = tile.constant <"9581594086029934", "uint32", [1, 8, 1, 3]> : !da
  %la = tile.alloc bytes 128 : !la
  tile.load %la, %a : !la, !da
  %wa = tile.view %la : !la -> !wa
  %y = tile.alloc bytes 256 : !y
  tile.depthwise %y, %x, %wa pad [0, 0, 1, 1] : !y, !y, !wa
  %all = tile.alloc bytes 524032 : !y
  tile.fill %all value 0 : !y
  %b = tile.constant <"e3ae3d5007186bc6", "uint32", [1, 4, 1, 5]> : !db
  %lb = tile.alloc bytes 128 : !lb
  tile.load %lb, %b : !lb, !db
  %wb = tile.view %lb : !lb -> !wb
  %bb = tile.view %lb offset 16 : !lb -> !bb
  %z = tile.alloc bytes 256 : !z
  tile.conv %z, %y, %wb bias %bb : !bb : !z, !y, !wb
  func.return
}

// -----

!y = memref<1x4x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!d = memref<1x4x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [12, 3, 3, 1]>, #tile.place<ddr>>
!l = memref<1x4x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!w = memref<4x1x1x3xf32, #tile.layout<weights unit 4 pack 1 strides [3, 1, 3, 1]>, #tile.place<lmem 0>>
!v = memref<1x4x1x3xf32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!da = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [20, 5, 5, 1]>, #tile.place<ddr>>
!la = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 5, 1]>, #tile.place<lmem 0>>
!wa = memref<4x8x1x1xf32, #tile.layout<weights unit 8 pack 2 strides [4, 1, 4, 4]>, #tile.place<lmem 0>>

// What is loaded twice is in no transfer with others.

// CHECK-LABEL: func.func @twice
// CHECK: tile.load
// CHECK: tile.depthwise
// CHECK: tile.load
// CHECK: tile.depthwise
func.func @twice() {
  %x = tile.alloc bytes 256 : !y
  %a = tile.constant <"a00cf331664fab33", "uint32", [1, 4, 1, 3]> : !d
  %la = tile.alloc bytes 128 : !l
  tile.load %la, %a : !l, !d
  %wa = tile.view %la : !l -> !w
  %y = tile.alloc bytes 256 : !y
  tile.depthwise %y, %x, %wa pad [0, 0, 1, 1] : !y, !y, !w
  %b = tile.constant <"a00cf331664fab33", "uint32", [1, 4, 1, 3]> : !d
  %lb = tile.alloc bytes 128 : !l
  tile.load %lb, %b : !l, !d
  %wb = tile.view %lb : !l -> !w
  %z = tile.alloc bytes 256 : !y
  tile.depthwise %z, %y, %wb pad [0, 0, 1, 1] : !y, !y, !w
  func.return
}

// -----

!y = memref<1x4x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!d = memref<1x4x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [12, 3, 3, 1]>, #tile.place<ddr>>
!l = memref<1x4x1x3xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!w = memref<4x1x1x3xf32, #tile.layout<weights unit 4 pack 1 strides [3, 1, 3, 1]>, #tile.place<lmem 0>>
!v = memref<1x4x1x3xf32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 3, 1]>, #tile.place<lmem 0>>
!da = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [20, 5, 5, 1]>, #tile.place<ddr>>
!la = memref<1x4x1x5xi32, #tile.layout<tensor unit 4 pack 1 strides [32, 32, 5, 1]>, #tile.place<lmem 0>>
!wa = memref<4x8x1x1xf32, #tile.layout<weights unit 8 pack 2 strides [4, 1, 4, 4]>, #tile.place<lmem 0>>

// What is no weights but a tensor is loaded by itself.

// CHECK-LABEL: func.func @tensor
// CHECK: tile.load
// CHECK: tile.depthwise
// CHECK: tile.load
// CHECK: tile.arith
func.func @tensor() {
  %x = tile.alloc bytes 256 : !y
  %a = tile.constant <"a00cf331664fab33", "uint32", [1, 4, 1, 3]> : !d
  %la = tile.alloc bytes 128 : !l
  tile.load %la, %a : !l, !d
  %wa = tile.view %la : !l -> !w
  %y = tile.alloc bytes 256 : !y
  tile.depthwise %y, %x, %wa pad [0, 0, 1, 1] : !y, !y, !w
  %c = tile.constant <"e3ae3d5007186bc6", "uint32", [1, 4, 1, 5]> : !da
  %lc = tile.alloc bytes 128 : !la
  tile.load %lc, %c : !la, !da
  %vc = tile.view %lc : !la -> !v
  %u = tile.alloc bytes 128 : !v
  tile.arith copy %u, %vc : !v, !v
  func.return
}
