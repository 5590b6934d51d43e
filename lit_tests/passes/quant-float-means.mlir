// RUN: bmnetu-opt -p quant-float-means --split-input-file %s | filecheck %s

!q = tensor<2x4x6x5xsi8, #quant.scale<0.5>>
!u = tensor<2x4x6x5xui8, #quant.scale<0.5>>
!y = tensor<2x4x1x1xsi8, #quant.scale<0.25>>
!q1 = tensor<2x4x3x5xsi8, #quant.scale<0.5>>

// A mean over the whole map, which has another size in the sample, goes between converters in both functions.

// CHECK: func.func @main
// CHECK-NEXT: %{{.*}} = quant.lookup %{{.*}} : tensor<2x4x6x5xsi8, #quant.scale<0.5>> -> tensor<2x4x6x5xsi8, #quant.scale<1.0>>
// CHECK-NEXT: %{{.*}} = quant.dequantize %{{.*}} -> tensor<2x4x6x5xf32>
// CHECK-NEXT: %{{.*}} = quant.average_pool %{{.*}} kernel [6, 5] {{.*}} : tensor<2x4x6x5xf32> -> tensor<2x4x1x1xf32>
// CHECK-NEXT: %{{.*}} = quant.pointwise "power"
// CHECK-NEXT: %{{.*}} = quant.pointwise "round"
// CHECK-NEXT: %{{.*}} = quant.pointwise "power"
// CHECK-NEXT: %{{.*}} = quant.quantize
// CHECK-NEXT: %[[Y:.*]] = quant.lookup %{{.*}} tops ["mean"] : {{.*}} -> tensor<2x4x1x1xsi8, #quant.scale<0.25>>
// CHECK-NEXT: func.return %[[Y]]
// CHECK: func.func @sample_1
// CHECK: quant.average_pool %{{.*}} kernel [3, 5] {{.*}} : tensor<2x4x3x5xf32> -> tensor<2x4x1x1xf32>
func.func @main(%x: !q) -> !y attributes {input_names = ["x"], output_names = ["mean"]} {
  %mean = quant.average_pool %x kernel [6, 5] stride [1, 1] tops ["mean"] : !q -> !y
  func.return %mean : !y
}
func.func @sample_1(%x: !q1) -> !y attributes {input_names = ["x"], output_names = ["mean"], sample_of = ["height"]} {
  %mean = quant.average_pool %x kernel [3, 5] stride [1, 1] tops ["mean"] : !q1 -> !y
  func.return %mean : !y
}

// -----

!q = tensor<2x4x6x6xsi8, #quant.scale<0.5>>
!y = tensor<2x4x3x3xsi8, #quant.scale<0.5>>
!f = tensor<2x4x6x6xf32>
!g = tensor<2x4x3x3xf32>

// A mean with one divisor stays, and one of floats.

// CHECK: func.func @main
// CHECK-NEXT: quant.average_pool %{{.*}} kernel [2, 2] stride [2, 2] ceil false tops ["a"]
// CHECK-NEXT: quant.average_pool %{{.*}} kernel [3, 3] {{.*}} tops ["b"]
// CHECK-NEXT: func.return
func.func @main(%x: !q, %y: !f) -> (!y, !g) attributes {input_names = ["x", "y"], output_names = ["a", "b"]} {
  %a = quant.average_pool %x kernel [2, 2] stride [2, 2] ceil false tops ["a"] : !q -> !y
  %b = quant.average_pool %y kernel [3, 3] stride [2, 2] pad [1, 0, 1, 0] exclude_pad true tops ["b"] : !f -> !g
  func.return %a, %b : !y, !g
}
