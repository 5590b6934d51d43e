// RUN: bmnetu-opt -p quant-choose-winograd --weights %S/Inputs/weights.npz %s | filecheck %s

!x = tensor<4x16x30x20xsi8, #quant.scale<0.5>>
!y = tensor<4x16x15x10xsi8, #quant.scale<0.5>>

// The first layer's own word asks for winograd, but these weights lose too much by it. The word is
// gone afterwards. (tests/passes/test_winograd.py shows layers that stay winograd.)

// CHECK: func.func @main
// CHECK-SAME: winograd = ["quant.conv: direct, winograd's cosine 0.998748 is not near enough"]
// CHECK-NEXT: quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c1"]
// CHECK-NEXT: quant.conv %{{.*}} weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 tops ["c2"]
func.func @main(%x: !x) -> !y attributes {input_names = ["x"], output_names = ["c3"]} {
  %c1 = quant.conv %x weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 use_winograd true tops ["c1"] : !x -> !x
  %c2 = quant.conv %c1 weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> pad [1, 1, 1, 1] shift 7 use_winograd false tops ["c2"] : !x -> !x
  %c3 = quant.conv %c2 weight <"f1e328633b75470a", "int8", [16, 16, 3, 3]> stride [2, 2] pad [1, 1, 1, 1] shift 7 tops ["c3"] : !x -> !y
  func.return %c3 : !y
}
