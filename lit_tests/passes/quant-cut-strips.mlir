// RUN: bmnetu-opt -p quant-cut-strips --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s

!x = tensor<1x16x30x20xsi8, #quant.scale<0.5>>
!y = tensor<1x16x15x10xsi8, #quant.scale<0.5>>

// 15 rows take four strips of 4 rows, so the image of 30 rows is cut into strips of 8. The first
// layer reads a row above and a row below each strip, which come with the strips of an input; the
// second, of stride 2, only one above.

// CHECK: %[[H1:.*]] = quant.split_strips %x above 1 below 1 tops ["input"] : tensor<1x16x30x20xsi8, {{.*}}> -> tensor<4x16x10x20xsi8, {{.*}}>
// CHECK-NEXT: %[[C1:.*]] = quant.conv %[[H1]] weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [0, 0, 1, 1] shift 7 tops ["c1"] {quant.image_height = 30 : i64}
// CHECK-NEXT: %[[H2:.*]] = quant.exchange_halo %[[C1]] height 30 above 1 below 0 fill 0
// CHECK-NEXT: %[[C2:.*]] = quant.conv %[[H2]] {{.*}} stride [2, 2] pad [0, 0, 1, 1] shift 7 tops ["c2"] {quant.image_height = 15 : i64}
// CHECK-NEXT: %[[OUT:.*]] = quant.join_strips %[[C2]] tops ["c2"] : tensor<4x16x4x10xsi8, {{.*}}> -> tensor<1x16x15x10xsi8, {{.*}}>
// CHECK-NEXT: func.return %[[OUT]]
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["y"]} {
  %c1 = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c1"] : !x -> !x
  %c2 = quant.conv %c1 weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> stride [2, 2] pad [1, 1, 1, 1] shift 7 tops ["c2"] : !x -> !y
  func.return %c2 : !y
}

// -----

!x = tensor<1x16x28x20xsi8, #quant.scale<0.5>>
!m = tensor<1x16x26x20xsi8, #quant.scale<0.5>>

// A signed maximum sees the lowest value outside the image; the convolution sees zeros.

// CHECK: quant.split_strips %{{.*}} above 1 below 1 tops ["input"]
// CHECK-NEXT: quant.conv
// CHECK-NEXT: quant.exchange_halo %{{.*}} height 28 above 0 below 2 fill -128 tops ["c"]
// CHECK-NEXT: quant.max_pool %{{.*}} kernel [3, 3] stride [1, 1] pad [0, 0, 1, 1] tops ["p"] {quant.image_height = 26 : i64}
func.func @main(%x: !x) -> !m attributes {input_names = ["x"], output_names = ["y"]} {
  %c = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c"] : !x -> !x
  %p = quant.max_pool %c kernel [3, 3] stride [1, 1] pad [0, 0, 1, 1] tops ["p"] : !x -> !m
  %d = quant.conv %p weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["d"] : !m -> !m
  func.return %d : !m
}

// -----

!x = tensor<2x16x28x20xsi8, #quant.scale<0.5>>

// Two images stay as they are.

// CHECK: func.func @main(%x: tensor<2x16x28x20xsi8
// CHECK-NOT: strips
// CHECK: quant.conv %x
func.func @main(%x: !x) -> !x attributes {input_names = ["x"], output_names = ["y"]} {
  %c = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c"] : !x -> !x
  func.return %c : !x
}

// -----

!f = tensor<1x16x30x20xf32>
!x = tensor<1x16x30x20xsi8, #quant.scale<0.5>>

// A float image becomes strips while it is quantised.

// CHECK: func.func @main(%x: tensor<1x16x30x20xf32>
// CHECK-NEXT: %[[Q:.*]] = quant.quantize_strips %x tops ["input"] {quant.image_height = 30 : i64} : tensor<1x16x30x20xf32> -> tensor<4x16x8x20xsi8, {{.*}}>
// CHECK-NEXT: quant.exchange_halo %[[Q]]
// CHECK-NOT: quant.quantize %
func.func @main(%x: !f) -> !x attributes {input_names = ["x"], output_names = ["y"]} {
  %q = quant.quantize %x tops ["input"] : !f -> !x
  %c = quant.conv %q weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c"] : !x -> !x
  func.return %c : !x
}

// -----

!f = tensor<1x3x30x20xf32>
!x = tensor<1x3x30x20xsi8, #quant.scale<0.5>>
!y = tensor<1x4x30x20xsi8, #quant.scale<0.5>>

// One of few channels with the halo of the one convolution that reads it.

// CHECK: func.func @main(%x: tensor<1x3x30x20xf32>
// CHECK-NEXT: %[[Q:.*]] = quant.quantize_strips %x above 1 below 1 tops ["input"] {quant.image_height = 30 : i64} : tensor<1x3x30x20xf32> -> tensor<4x3x10x20xsi8, {{.*}}>
// CHECK-NEXT: quant.conv %[[Q]]
// CHECK-NOT: quant.quantize %
func.func @main(%x: !f) -> !y attributes {input_names = ["x"], output_names = ["y"]} {
  %q = quant.quantize %x tops ["input"] : !f -> !x
  %c = quant.conv %q weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c"] : !x -> !y
  func.return %c : !y
}
