// RUN: bmnetu-opt -p quant-arrange-concats --weights %S/Inputs/weights.npz %s | filecheck %s

!a = tensor<1x3x6x6xsi8, #quant.scale<0.5>>
!w = tensor<1x64x6x6xsi8, #quant.scale<0.5>>
!s = tensor<1x67x6x6xsi8, #quant.scale<0.5>>
!p = tensor<1x67x3x3xsi8, #quant.scale<0.5>>
!y = tensor<1x1x3x3xsi8, #quant.scale<0.5>>

// The part of 64 channels comes first, where it fills one row of lanes; the pooling has the new
// order, too, and the convolution has its weights in it. What the network gives keeps its order.

// CHECK: func.func @main
// CHECK-NEXT: %[[S:.*]] = quant.concat(%{{.*}}, %{{.*}}) axis 1 tops ["s"] {quant.channel_order = array<i64: 3, 4,
// CHECK-NEXT: quant.max_pool %[[S]] {{.*}} tops ["p"] {quant.channel_order = array<i64: 3, 4,
// CHECK-NEXT: quant.conv {{.*}} weight <"f268d841cbed9dfe", "int8", [1, 67, 1, 1]> shift 7 tops ["y"]
// CHECK-NEXT: quant.concat({{.*}}) axis 1 tops ["kept"] :
func.func @main(%a: !a, %w: !w) -> (!y, !s) attributes {input_names = ["a", "w"], output_names = ["y", "kept"]} {
  %s = quant.concat(%a, %w) axis 1 tops ["s"] : !a, !w -> !s
  %p = quant.max_pool %s kernel [2, 2] stride [2, 2] tops ["p"] : !s -> !p
  %y = quant.conv %p weight <"0c0ef67cbea59e5e", "int8", [1, 67, 1, 1]> shift 7 tops ["y"] : !p -> !y
  %kept = quant.concat(%a, %w) axis 1 tops ["kept"] : !a, !w -> !s
  func.return %y, %kept : !y, !s
}
