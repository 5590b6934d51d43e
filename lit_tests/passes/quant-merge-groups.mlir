// RUN: bmnetu-opt -p quant-merge-groups --weights %S/Inputs/weights.npz %s | filecheck %s

!x = tensor<1x32x14x14xsi8, #quant.scale<0.5>>
!y = tensor<1x16x14x14xsi8, #quant.scale<0.5>>
!d = tensor<1x3x14x14xsi8, #quant.scale<0.5>>

// Two groups of 16 channels become one of 32, half of whose weights are zeros. A depthwise
// convolution has a command of its own.

// CHECK: func.func @main
// CHECK-NEXT: quant.conv %{{.*}} weight <"{{[0-9a-f]*}}", "int8", [16, 32, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["two"]
// CHECK-NEXT: quant.conv %{{.*}} weight <"db48aea2a5311aa1", "int8", [3, 1, 3, 3]> pad [1, 1, 1, 1] group 3 shift 7 tops ["depthwise"]
func.func @main(%x: !x, %d: !d) -> (!y, !d) attributes {input_names = ["x", "d"], output_names = ["two", "depthwise"]} {
  %two = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] group 2 shift 7 tops ["two"] : !x -> !y
  %depthwise = quant.conv %d weight <"db48aea2a5311aa1", "int8", [3, 1, 3, 3]> pad [1, 1, 1, 1] group 3 shift 7 tops ["depthwise"] : !d -> !d
  func.return %two, %depthwise : !y, !d
}
