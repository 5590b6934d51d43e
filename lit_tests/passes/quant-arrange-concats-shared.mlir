// RUN: bmnetu-opt -p quant-arrange-concats %s | filecheck %s

!x = tensor<1x3x6x6xsi8, #quant.scale<0.5>>
!xx = tensor<1x6x6x6xsi8, #quant.scale<0.5>>
!xxx = tensor<1x9x6x6xsi8, #quant.scale<0.5>>
!xxxx = tensor<1x12x6x6xsi8, #quant.scale<0.5>>

// Each begins with the one before; other beginnings stay.

// CHECK: func.func @main(%a
// CHECK-NEXT: %[[AB:.*]] = quant.concat(%a, %b) axis 1 tops ["ab"]
// CHECK-NEXT: %[[ABC:.*]] = quant.concat(%[[AB]], %c) axis 1 tops ["abc"]
// CHECK-NEXT: quant.concat(%[[ABC]], %a) axis 1 tops ["abca"]
// CHECK-NEXT: quant.concat(%b, %a, %c) axis 1 tops ["bac"]
func.func @main(%a: !x, %b: !x, %c: !x) -> (!xxxx, !xxx) attributes {input_names = ["a", "b", "c"], output_names = ["abca", "bac"]} {
  %ab = quant.concat(%a, %b) axis 1 tops ["ab"] : !x, !x -> !xx
  %abc = quant.concat(%a, %b, %c) axis 1 tops ["abc"] : !x, !x, !x -> !xxx
  %abca = quant.concat(%a, %b, %c, %a) axis 1 tops ["abca"] : !x, !x, !x, !x -> !xxxx
  %bac = quant.concat(%b, %a, %c) axis 1 tops ["bac"] : !x, !x, !x -> !xxx
  func.return %abca, %bac : !xxxx, !xxx
}
