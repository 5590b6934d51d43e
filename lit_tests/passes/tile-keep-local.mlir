// RUN: bmnetu-opt -p tile-keep-local --split-input-file %s | filecheck %s

!w = memref<1x8x6x6xf32, #tile.layout<"tensor unit=4 pack=1 strides=288,36,6,1">, #tile.place<"ddr">>
!l = memref<1x8x6x6xf32, #tile.layout<"tensor unit=4 pack=1 strides=64,64,6,1">, #tile.place<"lmem 0">>

// The second layer's load is gone: it reads the first one's result where it was made, and the tensor between
// them is observed there instead of being stored. The network's output is stored.

// CHECK: %x = tile.alloc bytes 256
// CHECK: tile.load %x, %{{.*}}
// CHECK: %y = tile.alloc bytes 256
// CHECK-NEXT: tile.arith "max" %y, %x constant 0
// CHECK-NOT: tile.store
// CHECK: %[[SEEN:[^ ]+]] = tile.view %y
// CHECK-NEXT: tile.observe %[[SEEN]] "first" shape [1, 8, 6, 6]
// CHECK-NOT: tile.load
// CHECK: tile.arith "min" %z, %y constant 0
// CHECK-NEXT: tile.store %out, %z
// CHECK-NEXT: tile.observe %out "second"
func.func @main() {
  %in = tile.input "in" shape [1, 8, 6, 6] bytes 1152 : !w
  %out = tile.output "out" shape [1, 8, 6, 6] bytes 1152 : !w
  %x = tile.alloc bytes 256 : !l
  tile.load %x, %in : !l, !w
  %y = tile.alloc bytes 256 : !l
  tile.arith "max" %y, %x constant 0 : !l, !l
  %d = tile.alloc bytes 1152 : !w
  tile.store %d, %y : !w, !l
  tile.observe %d "first" shape [1, 8, 6, 6] : !w
  %again = tile.alloc bytes 256 : !l
  tile.load %again, %d : !l, !w
  %z = tile.alloc bytes 256 : !l
  tile.arith "min" %z, %again constant 0 : !l, !l
  tile.store %out, %z : !w, !l
  tile.observe %out "second" shape [1, 8, 6, 6] : !w
  func.return
}

// -----

!w = memref<1x8x6x6xf32, #tile.layout<"tensor unit=4 pack=1 strides=288,36,6,1">, #tile.place<"ddr">>
!l = memref<1x8x6x6xf32, #tile.layout<"tensor unit=4 pack=1 strides=64,64,6,1">, #tile.place<"lmem 0">>

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
  tile.arith "max" %y, %y constant 0 : !l, !l
  %again = tile.alloc bytes 256 : !l
  tile.load %again, %d : !l, !w
  tile.arith "add" %again, %again, %y : !l : !l, !l
  tile.store %out, %again : !w, !l
  func.return
}
