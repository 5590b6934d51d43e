// RUN: not bmnetu-opt -p tile-allocate-local %s 2>&1 | filecheck %s

!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>

// CHECK: bmnetu-opt: error: net.prototxt:7: layer "conv5": 262272 bytes do not fit what is left of 524288 bytes of memory
func.func @main() {
  %a = tile.alloc bytes 262144 : !l
  %b = tile.alloc bytes 262145 : !l loc("conv5"("net.prototxt":7:0))
  tile.arith copy %a, %b : !l, !l
  func.return
}
