// RUN: bmnetu-opt -p quant-float-means --split-input-file %s | filecheck %s

!q = tensor<2x3x4x5xsi8, #quant.scale<0.5>>
!y = tensor<2x3x8x5xsi8, #quant.scale<0.5>>
!q1 = tensor<2x3x3x5xsi8, #quant.scale<0.5>>
!y1 = tensor<2x3x6x5xsi8, #quant.scale<0.5>>

// A resize whose weights are others in the sample goes between converters in both functions. Its rule stays.

// CHECK: func.func @main
// CHECK-NEXT: %{{.*}} = quant.lookup %{{.*}} : tensor<2x3x4x5xsi8, #quant.scale<0.5>> -> tensor<2x3x4x5xsi8, #quant.scale<1.0>>
// CHECK-NEXT: %{{.*}} = quant.dequantize %{{.*}} -> tensor<2x3x4x5xf32>
// CHECK-NEXT: %{{.*}} = quant.interpolate %{{.*}} axis 2 indices <"996f34ef44590692", "int32", [8]> weights <"{{.*}}", "float32", [8]> positions "half_pixel" tops [""] : tensor<2x3x4x5xf32> -> tensor<2x3x8x5xf32>
// CHECK-NEXT: %{{.*}} = quant.pointwise "power" {{.*}}
// CHECK-NEXT: %{{.*}} = quant.quantize %{{.*}} -> tensor<2x3x8x5xsi8, #quant.scale<1.0>>
// CHECK-NEXT: %[[Y:.*]] = quant.lookup %{{.*}} tops ["y"] : {{.*}} -> tensor<2x3x8x5xsi8, #quant.scale<0.5>>
// CHECK-NEXT: func.return %[[Y]]
// CHECK: func.func @sample_1
// CHECK: quant.interpolate %{{.*}} axis 2 indices <"2d60ec9227d309e6", "int32", [6]> weights <"{{.*}}", "float32", [6]> positions "half_pixel" {{.*}} : tensor<2x3x3x5xf32> -> tensor<2x3x6x5xf32>
func.func @main(%x: !q) -> !y attributes {input_names = ["x"], output_names = ["y"]} {
  %y = quant.interpolate %x axis 2 indices <"996f34ef44590692", "int32", [8]> weights <"e2d091d81a743a1c", "int8", [8]> positions "half_pixel" tops ["y"] : !q -> !y
  func.return %y : !y
}
func.func @sample_1(%x: !q1) -> !y1 attributes {input_names = ["x"], output_names = ["y"], sample_of = ["height"]} {
  %y = quant.interpolate %x axis 2 indices <"2d60ec9227d309e6", "int32", [6]> weights <"227b1068a9bb93bb", "int8", [6]> positions "half_pixel" tops ["y"] : !q1 -> !y1
  func.return %y : !y1
}

// -----

!q = tensor<2x3x4x5xsi8, #quant.scale<0.5>>
!y = tensor<2x3x8x5xsi8, #quant.scale<0.5>>
!q1 = tensor<1x3x4x5xsi8, #quant.scale<0.5>>
!y1 = tensor<1x3x8x5xsi8, #quant.scale<0.5>>

// Where only the batch is another, the weights are constants and it stays in 8 bits.

// CHECK: func.func @main
// CHECK-NEXT: quant.interpolate %{{.*}} weights <"e2d091d81a743a1c", "int8", [8]> positions "half_pixel" tops ["y"] : tensor<2x3x4x5xsi8, #quant.scale<0.5>>
// CHECK-NEXT: func.return
// CHECK: func.func @sample_1
// CHECK-NEXT: quant.interpolate %{{.*}} weights <"e2d091d81a743a1c", "int8", [8]> positions "half_pixel" tops ["y"] : tensor<1x3x4x5xsi8, #quant.scale<0.5>>
// CHECK-NEXT: func.return
func.func @main(%x: !q) -> !y attributes {input_names = ["x"], output_names = ["y"]} {
  %y = quant.interpolate %x axis 2 indices <"996f34ef44590692", "int32", [8]> weights <"e2d091d81a743a1c", "int8", [8]> positions "half_pixel" tops ["y"] : !q -> !y
  func.return %y : !y
}
func.func @sample_1(%x: !q1) -> !y1 attributes {input_names = ["x"], output_names = ["y"], sample_of = ["batch"]} {
  %y = quant.interpolate %x axis 2 indices <"996f34ef44590692", "int32", [8]> weights <"e2d091d81a743a1c", "int8", [8]> positions "half_pixel" tops ["y"] : !q1 -> !y1
  func.return %y : !y1
}

// -----

!q = tensor<2x3x4x5xsi8, #quant.scale<0.5>>
!y = tensor<2x3x8x5xsi8, #quant.scale<0.5>>
!q1 = tensor<2x3x3x5xsi8, #quant.scale<0.5>>
!y1 = tensor<2x3x6x5xsi8, #quant.scale<0.5>>

// A resize without a rule stays: no record could compute its weights.

// CHECK: func.func @main
// CHECK-NEXT: quant.interpolate %{{.*}} weights <"e2d091d81a743a1c", "int8", [8]> tops ["y"]
// CHECK-NEXT: func.return
// CHECK: func.func @sample_1
// CHECK-NEXT: quant.interpolate %{{.*}} weights <"227b1068a9bb93bb", "int8", [6]> tops ["y"]
// CHECK-NEXT: func.return
func.func @main(%x: !q) -> !y attributes {input_names = ["x"], output_names = ["y"]} {
  %y = quant.interpolate %x axis 2 indices <"996f34ef44590692", "int32", [8]> weights <"e2d091d81a743a1c", "int8", [8]> tops ["y"] : !q -> !y
  func.return %y : !y
}
func.func @sample_1(%x: !q1) -> !y1 attributes {input_names = ["x"], output_names = ["y"], sample_of = ["height"]} {
  %y = quant.interpolate %x axis 2 indices <"2d60ec9227d309e6", "int32", [6]> weights <"227b1068a9bb93bb", "int8", [6]> tops ["y"] : !q1 -> !y1
  func.return %y : !y1
}
