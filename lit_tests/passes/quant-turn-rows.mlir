// RUN: bmnetu-opt -p quant-turn-rows --weights %S/Inputs/weights.npz %s | filecheck %s

!x = tensor<1x20x27xsi8, #quant.scale<0.5>>
!few = tensor<1x2x27xsi8, #quant.scale<0.5>>
!rows = tensor<20x3x3x3xsi8, #quant.scale<0.5>>
!fewrows = tensor<2x3x3x3xsi8, #quant.scale<0.5>>

// Twenty rows become the pixels of an image; two stay images of one pixel.

// CHECK: func.func @main
// CHECK-NEXT: [[T:%.*]] = quant.transpose %x order [0, 2, 1] tops ["p/turned"]
// CHECK-NEXT: [[I:%.*]] = quant.reshape [[T]] tops ["p/image"] : {{.*}} -> tensor<1x27x20x1xsi8
// CHECK-NEXT: [[C:%.*]] = quant.conv [[I]] weight <"{{.*}}", "int8", [4, 27, 1, 1]> bias <"764b9769ead158a8", "int16", [4]> shift 9 tops ["p/convolved"] : {{.*}} -> tensor<1x4x20x1xsi8
// CHECK-NEXT: [[R:%.*]] = quant.reshape [[C]] tops ["p/channels"] : {{.*}} -> tensor<1x4x20xsi8
// CHECK-NEXT: [[B:%.*]] = quant.transpose [[R]] order [0, 2, 1] tops ["p/back"]
// CHECK-NEXT: quant.reshape [[B]] tops ["y"] : {{.*}} -> tensor<1x20x4xsi8
// CHECK-NEXT: quant.reshape %few
// CHECK-NEXT: quant.conv %{{.*}} "int8", [4, 3, 3, 3]>
func.func @main(%x: !x, %few: !few) -> (tensor<1x20x4xsi8, #quant.scale<0.5>>, tensor<1x2x4xsi8, #quant.scale<0.5>>) attributes {input_names = ["x", "few"], output_names = ["y", "z"]} {
  %r = quant.reshape %x tops ["r"] : !x -> !rows
  %p = quant.conv %r weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> shift 9 tops ["p"] : !rows -> tensor<20x4x1x1xsi8, #quant.scale<0.5>>
  %y = quant.reshape %p tops ["y"] : tensor<20x4x1x1xsi8, #quant.scale<0.5>> -> tensor<1x20x4xsi8, #quant.scale<0.5>>
  %f = quant.reshape %few tops ["f"] : !few -> !fewrows
  %q = quant.conv %f weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> bias <"764b9769ead158a8", "int16", [4]> shift 9 tops ["q"] : !fewrows -> tensor<2x4x1x1xsi8, #quant.scale<0.5>>
  %z = quant.reshape %q tops ["z"] : tensor<2x4x1x1xsi8, #quant.scale<0.5>> -> tensor<1x2x4xsi8, #quant.scale<0.5>>
  func.return %y, %z : tensor<1x20x4xsi8, #quant.scale<0.5>>, tensor<1x2x4xsi8, #quant.scale<0.5>>
}
