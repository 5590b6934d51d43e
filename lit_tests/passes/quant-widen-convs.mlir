// RUN: bmnetu-opt -p quant-widen-convs --weights %S/Inputs/weights.npz %s | filecheck %s

!x = tensor<1x3x32x64xsi8, #quant.scale<0.5>>
!y = tensor<1x4x32x64xsi8, #quant.scale<0.5>>
!p = tensor<1x4x16x32xsi8, #quant.scale<0.5>>

// Four columns of the pooled result at once, 16 channels from one to the next: for both columns under a window of the pooling the convolution has outputs of its own. Its kernel holds all windows.

// CHECK: func.func @main
// CHECK-NEXT: %[[WIDE:.*]] = quant.conv %{{.*}} weight <"{{[0-9a-f]*}}", "int8", [128, 3, 3, 10]> stride [1, 8] pad [1, 1, 1, 1] shift 7 tops ["y/wide"] : {{.*}} -> tensor<1x128x32x8xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %[[FIRST:.*]] = quant.slice %[[WIDE]] axis 1 begin 0 tops ["p/column0"]
// CHECK-NEXT: %[[SECOND:.*]] = quant.slice %[[WIDE]] axis 1 begin 64 tops ["p/column1"]
// CHECK-NEXT: %[[COLUMNS:.*]] = quant.eltwise max(%[[FIRST]], %[[SECOND]]) tops ["p/columns"]
// CHECK-NEXT: %[[ROWS:.*]] = quant.max_pool %[[COLUMNS]] kernel [2, 1] stride [2, 1] tops ["p/rows"] : {{.*}} -> tensor<1x64x16x8xsi8, #quant.scale<0.5>>
// CHECK-NEXT: %[[P:.*]] = quant.interleave(%[[ROWS]]) step [1, 4] tops ["p"] : {{.*}} -> tensor<1x4x16x32xsi8, #quant.scale<0.5>>
// CHECK-NEXT: func.return %[[P]]
func.func @main(%x: !x) -> !p attributes {input_names = ["x"], output_names = ["p"]} {
  %y = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["y"] : !x -> !y
  %p = quant.max_pool %y kernel [2, 2] stride [2, 2] tops ["p"] : !y -> !p
  func.return %p : !p
}
