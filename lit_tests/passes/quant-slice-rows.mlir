// RUN: bmnetu-opt -p 'quant-slice-rows{space=30000}' --weights %S/Inputs/weights.npz %s | filecheck %s
// RUN: bmnetu-opt -p 'quant-slice-rows{space=90000}' --weights %S/Inputs/weights.npz %s | filecheck %s --check-prefix=WHOLE

!x = tensor<2x16x120x80xsi8, #quant.scale<0.5>>
!y = tensor<2x16x60x40xsi8, #quant.scale<0.5>>

// The image does not fit so many bytes of a lane, in four slices both layers do. The second layer's rows
// are cut in about even parts, of a multiple of four: so many rows of 40 words begin at 128 bytes. The first layer computes the rows under them, of which neighbours have one or
// two in common. Padding stays at the edges of the image.

// CHECK: %[[A:.*]] = quant.slice %x axis 2 begin 0 tops [""] : tensor<2x16x120x80xsi8, {{.*}}> -> tensor<2x16x33x80xsi8, {{.*}}>
// CHECK-NEXT: %[[A1:.*]] = quant.conv %[[A]] {{.*}} pad [1, 0, 1, 1] shift 7 tops ["c1"] {quant.part = array<i64: 2, 0, 120>} : {{.*}} -> tensor<2x16x32x80xsi8, {{.*}}>
// CHECK-NEXT: %[[A2:.*]] = quant.conv %[[A1]] {{.*}} pad [1, 0, 1, 1] shift 7 tops [""] {quant.part = array<i64: 2, 0, 60>} : {{.*}} -> tensor<2x16x16x40xsi8, {{.*}}>
// CHECK-NEXT: %[[B:.*]] = quant.slice %x axis 2 begin 30 tops [""] : {{.*}} -> tensor<2x16x35x80xsi8, {{.*}}>
// CHECK-NEXT: quant.conv %[[B]] {{.*}} pad [0, 0, 1, 1] shift 7 tops ["c1"] {quant.part = array<i64: 2, 31, 120>} : {{.*}} -> tensor<2x16x33x80xsi8, {{.*}}>
// CHECK: %[[D:.*]] = quant.slice %x axis 2 begin 94
// CHECK-NEXT: quant.conv %[[D]] {{.*}} pad [0, 1, 1, 1] shift 7 tops ["c1"] {quant.part = array<i64: 2, 95, 120>}
// CHECK: quant.concat(%[[A2]], %{{.*}}, %{{.*}}, %{{.*}}) axis 2 tops ["c2"]
// CHECK-NEXT: func.return
// WHOLE-NOT: quant.slice
func.func @main(%x: !x) -> !y {
  %c1 = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c1"] : !x -> !x
  %c2 = quant.conv %c1 weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> stride [2, 2] pad [1, 1, 1, 1] shift 7 tops ["c2"] : !x -> !y
  func.return %c2 : !y
}
