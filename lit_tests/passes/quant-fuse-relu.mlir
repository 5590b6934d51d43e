// RUN: bmnetu-opt -p quant-fuse-relu --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// Into a convolution and an eltwise; the result has the ReLU's name.

// CHECK: %[[Y:.*]] = quant.conv %{{.*}} relu true tops ["relu"]
// CHECK-NEXT: %[[Z:.*]] = quant.eltwise sum(%[[Y]], %[[Y]]) relu true tops ["relu2"]
// CHECK-NEXT: func.return %[[Z]]
func.func @main(%x: !x) -> !y {
  %conv = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["conv"] : !x -> !y
  %relu = quant.prelu %conv slope <"60a430c5d19fc8d8", "float32", [1]> tops ["relu"] : !y -> !y
  %sum = quant.eltwise sum(%relu, %relu) tops ["sum"] : !y, !y -> !y
  %relu2 = quant.prelu %sum slope <"60a430c5d19fc8d8", "float32", [1]> tops ["relu2"] : !y -> !y
  func.return %relu2 : !y
}

// -----

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// Not with a slope, and not where the convolution has another reader.

// CHECK: quant.conv %{{.*}} tops ["conv"]
// CHECK-NEXT: quant.prelu %{{.*}} tops ["leaky"]
// CHECK-NEXT: quant.conv %{{.*}} tops ["conv2"]
// CHECK-NEXT: quant.prelu %{{.*}} tops ["relu"]
func.func @main(%x: !x) -> (!y, !y, !y) {
  %conv = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["conv"] : !x -> !y
  %leaky = quant.prelu %conv slope <"f608e8f2c40f4e9a", "float32", [1]> tops ["leaky"] : !y -> !y
  %conv2 = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["conv2"] : !x -> !y
  %relu = quant.prelu %conv2 slope <"60a430c5d19fc8d8", "float32", [1]> tops ["relu"] : !y -> !y
  func.return %leaky, %relu, %conv2 : !y, !y, !y
}

// -----

!q = tensor<1x3x4x4xsi8, #quant.scale<0.5>>

// Not on integers: their ReLU is an unsigned result.

// CHECK: quant.eltwise sum{{.*}} tops ["sum"]
// CHECK-NEXT: quant.prelu {{.*}} tops ["prelu"]
func.func @main(%x: !q) -> !q {
  %sum = quant.eltwise sum(%x) multipliers [1] tops ["sum"] : !q -> !q
  %prelu = quant.prelu %sum slope <"f375e759d4d40323", "int8", [1]> tops ["prelu"] : !q -> !q
  func.return %prelu : !q
}
