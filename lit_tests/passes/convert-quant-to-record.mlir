// RUN: bmnetu-opt --weights %S/Inputs/weights.npz -p convert-quant-to-record --split-input-file %s | filecheck %s

!q = tensor<5x3x8x8xsi8, #quant.scale<0.5>>
!u = tensor<5x4x8x8xui8, #quant.scale<0.25>>
!f = tensor<5x4x8x8xf32>
!flat = tensor<5x256xf32>
!q1 = tensor<2x3x8x8xsi8, #quant.scale<0.5>>
!u1 = tensor<2x4x8x8xui8, #quant.scale<0.25>>
!f1 = tensor<2x4x8x8xf32>
!flat1 = tensor<2x256xf32>

// Every op becomes records that compute the samples too; the samples go. Weights lie as the kernel reads them.

// CHECK: func.func @main(%[[X:.*]]: tensor<5x3x8x8xsi8, #quant.scale<0.5>>) -> tensor<5x256xf32> attributes {input_names = ["x"], output_names = ["flat"]}
// CHECK-NEXT: %[[C:.*]] = record.conv %[[X]] tops ["conv"] {channels = 196612 : i64, kernel = 196611 : i64, pad = array<i64: 1, 1, 1, 1>, has_bias = 1 : i64, relu = 1 : i64, shift = 9 : i64, input_sign = 1 : i64, weight_sign = 1 : i64, bias_sign = 1 : i64} coefficients {weight = #constant.data<"{{.*}}", "int8", [4, 9, 4]>, bias = #constant.data<"764b9769ead158a8", "int16", [4]>} : (tensor<5x3x8x8xsi8, #quant.scale<0.5>>) -> tensor<5x4x8x8xui8, #quant.scale<0.25>>
// CHECK-NEXT: %[[F:.*]] = record.lookup %[[C]] tops ["float"] {{.*}} coefficients {table = #constant.data<"{{.*}}", "float32", [256]>} : ({{.*}}) -> tensor<5x4x8x8xf32>
// CHECK-NEXT: %[[R:.*]] = record.reshape %[[F]] tops ["flat"] {rank = 2 : i64, shape = array<i32: 0, 256, 0, 0, 0, 0, 0, 0>} : (tensor<5x4x8x8xf32>) -> tensor<5x256xf32>
// CHECK-NEXT: func.return %[[R]]
// CHECK-NOT: sample_1
func.func @main(%x: !q) -> !flat attributes {input_names = ["x"], output_names = ["flat"]} {
  %conv = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"] : !q -> !u
  %float = quant.dequantize %conv tops ["float"] : !u -> !f
  %flat = quant.reshape %float tops ["flat"] : !f -> !flat
  func.return %flat : !flat
}
func.func @sample_1(%x: !q1) -> !flat1 attributes {input_names = ["x"], output_names = ["flat"], sample_of = ["batch"]} {
  %conv = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"] : !q1 -> !u1
  %float = quant.dequantize %conv tops ["float"] : !u1 -> !f1
  %flat = quant.reshape %float tops ["flat"] : !f1 -> !flat1
  func.return %flat : !flat1
}

// -----

!f = tensor<2x4x3x3xf32>

// An output that is an input, and one that is returned twice, are tensors of their own.

// CHECK: func.func @main(%[[X:.*]]: tensor<2x4x3x3xf32>)
// CHECK-NEXT: %[[S:.*]] = record.softmax %[[X]] tops ["s"] {place = 268435456 : i64}
// CHECK-NEXT: %[[A:.*]] = record.reshape %[[X]] tops ["x"] {rank = 4 : i64}
// CHECK-NEXT: %[[B:.*]] = record.reshape %[[S]] tops ["t"] {rank = 4 : i64}
// CHECK-NEXT: func.return %[[A]], %[[S]], %[[B]]
func.func @main(%x: !f) -> (!f, !f, !f) attributes {input_names = ["x"], output_names = ["x", "s", "t"]} {
  %s = quant.softmax %x axis 1 tops ["s"] : !f -> !f
  func.return %x, %s, %s : !f, !f, !f
}
