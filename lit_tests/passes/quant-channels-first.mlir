// RUN: bmnetu-opt -p quant-channels-first %s | filecheck %s

// What lies between two transpositions is computed on images; the first tensor meets no other layer
// that wants images, and stays.

!image = tensor<1x24x6x7xf32>
!rows = tensor<1x6x7x24xf32>
!one = tensor<1x6x7x1xf32>

// CHECK: func.func @main
// CHECK-NEXT: quant.softmax %few axis 2
// CHECK-NEXT: quant.pointwise "tanh" {{.*}} tops ["stays"] : tensor<1x20x24xf32>
// CHECK-NEXT: [[R:%.*]] = quant.transpose %x order [0, 2, 3, 1]
// CHECK-NEXT: [[F:%.*]] = quant.reshape [[R]] tops ["s/rows"] : {{.*}} -> tensor<1x42x24xf32>
// CHECK-NEXT: [[T:%.*]] = quant.transpose [[F]] order [0, 2, 1] tops ["s/turned"]
// CHECK-NEXT: [[I:%.*]] = quant.reshape [[T]] tops ["s/image"] : {{.*}} -> tensor<1x24x6x7xf32>
// CHECK-NEXT: [[S:%.*]] = quant.conv [[I]] weight <{{.*}}[1, 24, 1, 1]> tops ["s"] {quant.channels_last = array<i64: 1, 6, 7, 1>}
// CHECK-NEXT: [[A:%.*]] = quant.conv [[S]] weight <{{.*}}[24, 1, 1, 1]> tops ["c/repeated"]
// CHECK-NEXT: [[C:%.*]] = quant.eltwise sum([[I]], [[A]]) coefficients [1.000000e+00, -1.000000e+00] tops ["c"] {quant.channels_last = array<i64: 1, 6, 7, 24>}
// CHECK-NEXT: quant.reshape [[C]] tops ["c/channels"]
// CHECK-NEXT: quant.transpose {{.*}} order [0, 2, 1] tops ["c/last"]
func.func @main(%x: !image, %few: tensor<1x20x24xf32>) -> (!image, tensor<1x20x24xf32>) attributes {input_names = ["x", "few"], output_names = ["y", "stays"]} {
  %m = quant.softmax %few axis 2 tops ["m"] : tensor<1x20x24xf32> -> tensor<1x20x24xf32>
  %stays = quant.pointwise "tanh" %m tops ["stays"] : tensor<1x20x24xf32> -> tensor<1x20x24xf32>
  %r = quant.transpose %x order [0, 2, 3, 1] tops ["r"] : !image -> !rows
  %s = quant.reduce sum %r axes [3] tops ["s"] : !rows -> !one
  %c = quant.binary sub %r, %s tops ["c"] : !rows, !one -> !rows
  %y = quant.transpose %c order [0, 3, 1, 2] tops ["y"] : !rows -> !image
  func.return %y, %stays : !image, tensor<1x20x24xf32>
}
