// RUN: bmnetu-opt -p quant-drop-unread %s | filecheck %s

!x = tensor<1x4x2x2xf32>

// A chain that ends unread goes, from its end up; what an output needs stays, and so does an output
// that is read by nothing else.

// CHECK: func.func @main
// CHECK-NEXT: %[[A:.*]] = quant.eltwise sum(%{{.*}}, %{{.*}}) tops ["a"]
// CHECK-NEXT: %[[B:.*]] = quant.eltwise max(%[[A]], %[[A]]) tops ["b"]
// CHECK-NEXT: %[[C:.*]] = quant.eltwise product(%[[A]], %[[A]]) tops ["c"]
// CHECK-NEXT: func.return %[[B]], %[[C]]
func.func @main(%x: !x) -> (!x, !x) {
  %a = quant.eltwise sum(%x, %x) tops ["a"] : !x, !x -> !x
  %b = quant.eltwise max(%a, %a) tops ["b"] : !x, !x -> !x
  %u = quant.softmax %a axis 1 tops ["u"] : !x -> !x
  %v = quant.eltwise max(%u, %b) tops ["v"] : !x, !x -> !x
  %c = quant.eltwise product(%a, %a) tops ["c"] : !x, !x -> !x
  func.return %b, %c : !x, !x
}
