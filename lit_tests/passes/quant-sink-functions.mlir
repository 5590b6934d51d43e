// RUN: bmnetu-opt -p quant-sink-functions --split-input-file --weights %S/Inputs/weights.npz %s | filecheck %s

!x = tensor<1x3x8x8xsi8, #quant.scale<0.5>>
!y = tensor<1x3x4x4xsi8, #quant.scale<0.5>>

// A PReLU without negative slopes and a change of scale keep the order: both come behind the pooling, in the same
// order.

// CHECK: %[[P:.*]] = quant.max_pool %{{.*}} kernel [2, 2] stride [2, 2] tops ["p/pooled"]
// CHECK-NEXT: %[[R:.*]] = quant.prelu %[[P]] slope <"72d3c635a29c0fa5", "int8", [3]> shift 7 tops ["p/function1"] : {{.*}} -> tensor<1x3x4x4xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %[[Q:.*]] = quant.requantize %[[R]] multiplier 5 shift 3 tops ["p"]
// CHECK-NEXT: func.return %[[Q]]
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["p"]} {
  %r = quant.prelu %x slope <"72d3c635a29c0fa5", "int8", [3]> shift 7 tops ["r"] : !x -> !x
  %q = quant.requantize %r multiplier 5 shift 3 tops ["q"] : !x -> !x
  %p = quant.max_pool %q kernel [2, 2] stride [2, 2] tops ["p"] : !x -> !y
  func.return %p : !y
}

// -----

!f = tensor<1x2x8x8xf32>
!g = tensor<1x2x4x4xf32>
!x = tensor<1x3x8x8xsi8, #quant.scale<0.5>>
!y = tensor<1x3x4x4xsi8, #quant.scale<0.5>>

// A negative slope turns the order around. What an output or another layer reads stays, and what a pooling with
// stride 1 reads.

// CHECK: quant.prelu
// CHECK-NEXT: quant.max_pool {{.*}} tops ["p"]
// CHECK-NEXT: quant.requantize
// CHECK-NEXT: quant.max_pool {{.*}} tops ["s"]
// CHECK-NEXT: quant.requantize
// CHECK-NEXT: quant.max_pool {{.*}} tops ["t"]
// CHECK-NEXT: func.return
func.func @main(%f: !f, %x: !x) -> (!g, !x, !y, !x) attributes {input_names = ["f", "x"], output_names = ["p", "q", "s", "t"]} {
  %r = quant.prelu %f slope <"4953584d40cc1d48", "float32", [2]> tops ["r"] : !f -> !f
  %p = quant.max_pool %r kernel [2, 2] stride [2, 2] tops ["p"] : !f -> !g
  %q = quant.requantize %x multiplier 5 shift 3 tops ["q"] : !x -> !x
  %s = quant.max_pool %q kernel [2, 2] stride [2, 2] tops ["s"] : !x -> !y
  %u = quant.requantize %x multiplier 3 shift 3 tops ["u"] : !x -> !x
  %t = quant.max_pool %u kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["t"] : !x -> !x
  func.return %p, %q, %s, %t : !g, !x, !y, !x
}

// -----

!f = tensor<1x2x8x8xf32>
!g = tensor<1x2x4x4xf32>

// The first windows lie in the padding: what they have is no number of the map.

// CHECK: quant.prelu
// CHECK-NEXT: quant.max_pool
// CHECK-NEXT: func.return
func.func @main(%f: !f) -> !g attributes {input_names = ["f"], output_names = ["p"]} {
  %r = quant.prelu %f slope <"f608e8f2c40f4e9a", "float32", [1]> tops ["r"] : !f -> !f
  %p = quant.max_pool %r kernel [2, 2] stride [2, 2] pad [2, 0, 0, 0] tops ["p"] : !f -> !g
  func.return %p : !g
}
