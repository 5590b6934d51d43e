// RUN: bmnetu-opt -p record-allocate-ddr --weights %S/Inputs/weights.npz %s | filecheck %s

!t = tensor<2x3x20x20xf32>
!q = tensor<5x3x20x20xsi8>

// Coefficients from 0x105100000 on, a page each, equal ones once; then the intermediates: a chain alternates
// between two buffers, 8 bits lie as whole groups of four images. A softmax has scratch memory beside its operand;
// an output has no place.

// CHECK: func.func @main({{.*}}) -> tensor<2x3x20x20xf32> attributes {input_names = ["x"], output_names = ["e"], coeff_size = 4096 : i64, context_address = 4379906048 : i64, context_size = 24576 : i64}
// CHECK-NEXT: record.prelu {{.*}} tops ["a"] {channels = 3 : i64} coefficients {slope = {{.*}}} at [4379906048] coefficients_at [4379901952] :
// CHECK-NEXT: record.reverse {{.*}} tops ["b"] {axis = 2 : i32} at [4379918336] :
// CHECK-NEXT: record.prelu {{.*}} tops ["c"] {channels = 3 : i64} coefficients {slope = {{.*}}} at [4379906048] coefficients_at [4379901952] :
// CHECK-NEXT: record.prelu {{.*}} tops ["d"] {channels = 3 : i64, shared = 1 : i64, slope = 5.000000e-01 : f32} at [4379918336] :
// CHECK-NEXT: record.softmax {{.*}} tops ["e"] {place = 268435456 : i64, scratch = 4379906048 : i64} at [-1] :
func.func @main(%x: !t) -> !t attributes {input_names = ["x"], output_names = ["e"]} {
  %a = record.prelu %x tops ["a"] {channels = 3 : i64} coefficients {slope = #constant.data<"f9ef72ca17d52acc", "float32", [3]>} : (!t) -> !t
  %b = record.reverse %a tops ["b"] {axis = 2 : i32} : (!t) -> !t
  %c = record.prelu %b tops ["c"] {channels = 3 : i64} coefficients {slope = #constant.data<"f9ef72ca17d52acc", "float32", [3]>} : (!t) -> !t
  %d = record.prelu %c tops ["d"] {channels = 3 : i64, shared = 1 : i64, slope = 0.5 : f32} : (!t) -> !t
  %e = record.softmax %d tops ["e"] {place = 268435456 : i64} : (!t) -> !t
  func.return %e : !t
}
