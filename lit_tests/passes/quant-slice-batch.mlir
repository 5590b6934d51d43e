// RUN: bmnetu-opt -p 'quant-slice-batch{space=6000}' --weights %S/Inputs/weights.npz %s | filecheck %s
// RUN: bmnetu-opt -p 'quant-slice-batch{space=60000}' --weights %S/Inputs/weights.npz %s | filecheck %s --check-prefix=WHOLE

!x = tensor<6x16x30x20xsi8, #quant.scale<0.5>>
!y = tensor<6x16x15x10xsi8, #quant.scale<0.5>>

// Four images of both layers fit, six do not.

// CHECK: %[[A:.*]] = quant.slice %x axis 0 begin 0 tops [""] : tensor<6x16x30x20xsi8, {{.*}}> -> tensor<4x16x30x20xsi8, {{.*}}>
// CHECK-NEXT: %[[A1:.*]] = quant.conv %[[A]] {{.*}} tops ["c1"] {quant.part = array<i64: 0, 0, 6>}
// CHECK-NEXT: %[[A2:.*]] = quant.conv %[[A1]] {{.*}} tops [""] {quant.part = array<i64: 0, 0, 6>}
// CHECK-NEXT: %[[B:.*]] = quant.slice %x axis 0 begin 4 tops [""] : tensor<6x16x30x20xsi8, {{.*}}> -> tensor<2x16x30x20xsi8, {{.*}}>
// CHECK-NEXT: %[[B1:.*]] = quant.conv %[[B]] {{.*}} tops ["c1"] {quant.part = array<i64: 0, 4, 6>}
// CHECK-NEXT: %[[B2:.*]] = quant.conv %[[B1]] {{.*}} tops [""] {quant.part = array<i64: 0, 4, 6>}
// CHECK-NEXT: %[[C:.*]] = quant.concat(%[[A2]], %[[B2]]) axis 0 tops ["c2"]
// CHECK-NEXT: func.return %[[C]]
// WHOLE-NOT: quant.slice
func.func @main(%x: !x) -> !y {
  %c1 = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c1"] : !x -> !x
  %c2 = quant.conv %c1 weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> stride [2, 2] pad [1, 1, 1, 1] shift 7 tops ["c2"] : !x -> !y
  func.return %c2 : !y
}
