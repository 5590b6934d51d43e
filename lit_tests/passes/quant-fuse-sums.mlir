// RUN: bmnetu-opt -p quant-fuse-sums --weights %S/Inputs/weights.npz %s --split-input-file | filecheck %s

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// The convolution that comes later adds to the result of the other one, has the sum's name and its ReLU.

// CHECK: %[[A:.*]] = quant.conv %{{.*}} tops ["a"]
// CHECK-NEXT: %[[SUM:.*]] = quant.conv_add %{{.*}}, %[[A]] weight {{.*}} relu true tops ["sum"]
// CHECK-NEXT: func.return %[[SUM]]
func.func @main(%x: !x) -> !y {
  %a = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["a"] : !x -> !y
  %b = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["b"] : !x -> !y
  %sum = quant.eltwise sum(%b, %a) relu true tops ["sum"] : !y, !y -> !y
  func.return %sum : !y
}

// -----

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// Not where the other tensor is read later, nor where it is what the convolution reads.

// CHECK: quant.conv %{{.*}} tops ["a"]
// CHECK-NEXT: quant.conv %{{.*}} tops ["b"]
// CHECK-NEXT: quant.eltwise sum{{.*}} tops ["sum"]
// CHECK-NEXT: quant.eltwise max{{.*}} tops ["late"]
// CHECK-NEXT: quant.conv %{{.*}} tops ["own"]
// CHECK-NEXT: quant.eltwise sum{{.*}} tops ["to_own"]
func.func @main(%x: !x) -> (!y, !y) {
  %a = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["a"] : !x -> !y
  %b = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["b"] : !x -> !y
  %sum = quant.eltwise sum(%a, %b) tops ["sum"] : !y, !y -> !y
  %late = quant.eltwise max(%a, %sum) tops ["late"] : !y, !y -> !y
  %own = quant.conv %late weight <"c8651db62d3420ee", "float32", [2, 2, 1, 1]> tops ["own"] : !y -> !y
  %to_own = quant.eltwise sum(%own, %late) tops ["to_own"] : !y, !y -> !y
  func.return %sum, %to_own : !y, !y
}

// -----

!x = tensor<1x3x4x4xf32>
!y = tensor<1x2x4x4xf32>

// Not with factors, nor where the convolution has a ReLU or another reader.

// CHECK: quant.eltwise sum{{.*}} tops ["scaled"]
// CHECK: quant.eltwise sum{{.*}} tops ["clamped"]
// CHECK: quant.eltwise sum{{.*}} tops ["read"]
func.func @main(%x: !x) -> (!y, !y) {
  %a = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["a"] : !x -> !y
  %b = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["b"] : !x -> !y
  %scaled = quant.eltwise sum(%a, %b) coefficients [1.0, 2.0] tops ["scaled"] : !y, !y -> !y
  %c = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> relu true tops ["c"] : !x -> !y
  %clamped = quant.eltwise sum(%scaled, %c) tops ["clamped"] : !y, !y -> !y
  %d = quant.conv %x weight <"935a9bbc035fed37", "float32", [2, 3, 1, 1]> tops ["d"] : !x -> !y
  %read = quant.eltwise sum(%clamped, %d) tops ["read"] : !y, !y -> !y
  func.return %read, %d : !y, !y
}
