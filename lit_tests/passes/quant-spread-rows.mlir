// RUN: bmnetu-opt -p quant-spread-rows --split-input-file --weights %S/Inputs/weights.npz %s | filecheck %s

!n = tensor<1x3x64x1024xf32>
!x = tensor<1x2x64x1024xf32>

// Four pieces of 19 rows, from every 15th row on, in neighbouring pairs of channels. The rows that count are those of
// the whole image: for each piece the first such row in it, how many there are, and the number of the first.

// CHECK: func.func @main(%[[N:.*]]: tensor
// CHECK-NEXT: quant.slice %[[N]] axis 2 begin 0 tops [""] : {{.*}} -> tensor<1x3x19x1024xf32>
// CHECK-NEXT: %[[P0:.*]] = quant.conv {{.*}} tops [""] : {{.*}} -> tensor<1x2x19x1024xf32>
// CHECK-NEXT: quant.slice %[[N]] axis 2 begin 15
// CHECK-NEXT: %[[P1:.*]] = quant.conv
// CHECK-NEXT: quant.slice %[[N]] axis 2 begin 30
// CHECK-NEXT: %[[P2:.*]] = quant.conv
// CHECK-NEXT: quant.slice %[[N]] axis 2 begin 45
// CHECK-NEXT: %[[P3:.*]] = quant.conv
// CHECK-NEXT: %[[X:.*]] = quant.concat(%[[P0]], %[[P1]], %[[P2]], %[[P3]]) axis 1 tops ["x"] {quant.pieces = array<i64: 64, 0, 19, 0, 0, 19, 15, 0, 19, 30, 0, 19, 45>} : {{.*}} -> tensor<1x8x19x1024xf32>
// CHECK-NEXT: %[[P:.*]] = quant.max_pool %[[X]] kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["p"] {quant.pieces = array<i64: 64, 0, 18, 0, 1, 17, 16, 1, 17, 31, 1, 18, 46>}
// CHECK-NEXT: %[[F:.*]] = quant.prelu %[[P]] slope <"{{[0-9a-f]*}}", "float32", [1]> tops ["f"]
// CHECK-SAME: -> tensor<1x8x19x1024xf32>
// CHECK: quant.slice %[[F]] axis 1 begin 0
func.func @main(%n: !n) -> !x attributes {input_names = ["n"], output_names = ["y"]} {
  %x = quant.conv %n weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["x"] : !n -> !x
  %p = quant.max_pool %x kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["p"] : !x -> !x
  %f = quant.prelu %p slope <"f608e8f2c40f4e9a", "float32", [1]> tops ["f"] : !x -> !x
  %y = quant.conv %f weight <"c8651db62d3420ee", "float32", [2, 2, 1, 1]> tops ["y"] : !x -> !x
  func.return %y : !x
}
