// RUN: bmnetu-opt -p tile-allocate-ddr --weights %S/Inputs/weights.npz %s | filecheck %s

!t = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [288, 36, 6, 1]>, #tile.place<ddr>>
!l = memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
!w = memref<1x1x1x2xi32, #tile.layout<tensor unit 4 pack 1 strides [2, 2, 2, 1]>, #tile.place<ddr>>

// Constants from 0x105100000 on, aligned to 128 bytes, equal ones once; from the next page on a page each for
// input and output; then the intermediates: %b lies where %a was, %c beside %b.

// CHECK: func.func @main() attributes {input_names = ["x"], output_names = ["y"], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 12288 : i64}
// CHECK-NEXT: %x = tile.input "x" {{.*}} address 4379906048 :
// CHECK-NEXT: %y = tile.output "y" {{.*}} address 4379910144 :
// CHECK-NEXT: tile.constant <"60f83fd0cda76d99", {{.*}}> address 4379901952 :
// CHECK-NEXT: tile.constant <"81a667b048af9d83", {{.*}}> address 4379902080 :
// CHECK-NEXT: tile.constant <"60f83fd0cda76d99", {{.*}}> address 4379901952 :
// CHECK-NEXT: %a = tile.alloc bytes 1152 address 4379914240 :
// CHECK: %local = tile.alloc bytes 256 :
// CHECK: %b = tile.alloc bytes 1152 address 4379914240 :
// CHECK: %c = tile.alloc bytes 1152 address 4379915392 :
func.func @main() attributes {input_names = ["x"], output_names = ["y"]} {
  %x = tile.input "x" shape [1, 8, 6, 6] bytes 1152 : !t
  %y = tile.output "y" shape [1, 8, 6, 6] bytes 1152 : !t
  %w0 = tile.constant <"60f83fd0cda76d99", "float32", [2]> : !w
  %w1 = tile.constant <"81a667b048af9d83", "float32", [2]> : !w
  %w2 = tile.constant <"60f83fd0cda76d99", "float32", [2]> : !w
  %a = tile.alloc bytes 1152 : !t
  tile.copy %a, %x : !t, !t
  %local = tile.alloc bytes 256 : !l
  tile.load %local, %a : !l, !t
  %b = tile.alloc bytes 1152 : !t
  tile.store %b, %local : !t, !l
  %c = tile.alloc bytes 1152 : !t
  tile.copy %c, %b : !t, !t
  tile.copy %y, %c : !t, !t
  func.return
}
