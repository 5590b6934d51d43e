// RUN: bmnetu-opt -p quant-fold-shuffles --weights %S/Inputs/weights.npz %s | filecheck %s

!x = tensor<1x3x6x6xsi8, #quant.scale<0.5>>
!y = tensor<1x4x6x6xsi8, #quant.scale<0.5>>
!s = tensor<1x2x2x36xsi8, #quant.scale<0.5>>

// Two groups of two channels are shuffled behind a convolution: it makes them in that order. Where
// something else reads them as they were, the shuffle stays.

// CHECK: func.func @main
// CHECK-NEXT: %[[C:.*]] = quant.conv {{.*}} weight <"829a97b2049a57f8", "int8", [4, 3, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c"] {quant.channel_order = array<i64: 0, 2, 1, 3>}
// CHECK-NEXT: quant.conv {{.*}} weight <"2c1046f7afedf198"
// CHECK-NEXT: quant.reshape
// CHECK-NEXT: quant.transpose
// CHECK-NEXT: %[[K:.*]] = quant.reshape
// CHECK-NEXT: return %[[C]], %{{.*}}, %[[K]]
func.func @main(%x: !x) -> (!y, !y, !y) attributes {input_names = ["x"], output_names = ["y", "d", "k"]} {
  %c = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c"] : !x -> !y
  %s = quant.reshape %c tops ["s"] : !y -> !s
  %t = quant.transpose %s order [0, 2, 1, 3] tops ["t"] : !s -> !s
  %y = quant.reshape %t tops ["y"] : !s -> !y
  %d = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["d"] : !x -> !y
  %e = quant.reshape %d tops ["e"] : !y -> !s
  %f = quant.transpose %e order [0, 2, 1, 3] tops ["f"] : !s -> !s
  %k = quant.reshape %f tops ["k"] : !s -> !y
  func.return %y, %d, %k : !y, !y, !y
}
