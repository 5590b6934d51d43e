// RUN: bmnetu-opt -p quant-merge-transposes --split-input-file %s | filecheck %s

// Four that together move nothing, as exporters write an assignment to a slice: the numbers are taken as they lie.

// CHECK: func.func @main(%[[X:.*]]: tensor
// CHECK-NEXT: %[[D:.*]] = quant.reshape %[[X]] tops ["d"] : tensor<2x3x4x5xf32> -> tensor<2x3x4x5xf32>
// CHECK-NEXT: func.return %[[D]]
func.func @main(%x: tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32> attributes {input_names = ["x"], output_names = ["d"]} {
  %a = quant.transpose %x order [3, 1, 2, 0] tops ["a"] : tensor<2x3x4x5xf32> -> tensor<5x3x4x2xf32>
  %b = quant.transpose %a order [2, 1, 3, 0] tops ["b"] : tensor<5x3x4x2xf32> -> tensor<4x3x2x5xf32>
  %c = quant.transpose %b order [1, 2, 0, 3] tops ["c"] : tensor<4x3x2x5xf32> -> tensor<3x2x4x5xf32>
  %d = quant.transpose %c order [1, 0, 2, 3] tops ["d"] : tensor<3x2x4x5xf32> -> tensor<2x3x4x5xf32>
  func.return %d : tensor<2x3x4x5xf32>
}

// -----

// One of two, of the same scale; the first stays, as it is an output.

// CHECK: func.func @main(%[[X:.*]]: tensor
// CHECK-NEXT: %[[A:.*]] = quant.transpose %[[X]] order [0, 2, 3, 1] tops ["a"]
// CHECK-NEXT: %[[B:.*]] = quant.transpose %[[X]] order [0, 3, 1, 2] tops ["b"] : tensor<1x3x4x5xsi8, #quant.scale<0.5>> -> tensor<1x5x3x4xsi8, #quant.scale<0.5>>
// CHECK-NEXT: func.return %[[A]], %[[B]]
!x = tensor<1x3x4x5xsi8, #quant.scale<0.5>>
!a = tensor<1x4x5x3xsi8, #quant.scale<0.5>>
!b = tensor<1x5x3x4xsi8, #quant.scale<0.5>>
func.func @main(%x: !x) -> (!a, !b) attributes {input_names = ["x"], output_names = ["a", "b"]} {
  %a = quant.transpose %x order [0, 2, 3, 1] tops ["a"] : !x -> !a
  %b = quant.transpose %a order [0, 2, 3, 1] tops ["b"] : !a -> !b
  func.return %a, %b : !a, !b
}

// -----

// Only dimensions of size 1 move.

// CHECK: quant.reshape %{{.*}} tops ["y"] : tensor<4x1x3x1xf32> -> tensor<1x4x1x3xf32>
// CHECK-NOT: transpose
func.func @main(%x: tensor<4x1x3x1xf32>) -> tensor<1x4x1x3xf32> attributes {input_names = ["x"], output_names = ["y"]} {
  %y = quant.transpose %x order [1, 0, 3, 2] tops ["y"] : tensor<4x1x3x1xf32> -> tensor<1x4x1x3xf32>
  func.return %y : tensor<1x4x1x3xf32>
}

// -----

// Where the first three move no number, neither does what is between them and the last: images that are no images are
// not packed.

// CHECK: func.func @main(%[[X:.*]]: tensor
// CHECK-NEXT: %[[D:.*]] = quant.reshape %[[X]] tops ["d"] : tensor<1x3x4x5xsi8, #quant.scale<0.5>> -> tensor<1x3x4x5xsi8, #quant.scale<0.5>>
// CHECK-NEXT: func.return %[[D]]
!x = tensor<1x3x4x5xsi8, #quant.scale<0.5>>
!a = tensor<5x3x4x1xsi8, #quant.scale<0.5>>
!b = tensor<4x3x1x5xsi8, #quant.scale<0.5>>
!c = tensor<3x1x4x5xsi8, #quant.scale<0.5>>
func.func @main(%x: !x) -> !x attributes {input_names = ["x"], output_names = ["d"]} {
  %a = quant.transpose %x order [3, 1, 2, 0] tops ["a"] : !x -> !a
  %b = quant.transpose %a order [2, 1, 3, 0] tops ["b"] : !a -> !b
  %c = quant.transpose %b order [1, 2, 0, 3] tops ["c"] : !b -> !c
  %d = quant.transpose %c order [1, 0, 2, 3] tops ["d"] : !c -> !x
  func.return %d : !x
}
