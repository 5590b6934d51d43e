"""All that cannot be compiled of a net, as one message: where it is, how often, and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bmnetu.frontend.onnx.advice import advice_on
from bmnetu.frontend.onnx.nodes.node import Node
from bmnetu.frontend.prototxt.inputs import Input


@dataclass
class Refusals:
    """Sentences in the order of the nodes, and how many nodes of an operator are among them."""

    path: Path
    sentences: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    advised: set[str] = field(default_factory=set[str])
    """Operators of which a node is refused whatever its shapes are: their advice helps."""
    entries: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Name, operator and sentence of each; name and operator are "" for a tensor."""
    inputs: list[Input] = field(default_factory=list[Input])
    """The inputs that are read, as the file declares them."""

    def add(self, sentence: str, node: Node | None = None, *, advise: bool = True) -> None:
        """A sentence that names file and node, or tensor. ``advise``: what is said of the operator
        in general helps."""
        self.sentences.append(sentence)
        self.entries.append((node.name, node.op, sentence) if node else ("", "", sentence))
        if node is not None:
            self.counts[node.op] += 1
            if advise:
                self.advised.add(node.op)

    def message(self) -> str:
        """One sentence for one fault; else a list, and a line an operator."""
        if len(self.sentences) == 1:
            return "; ".join([*self.sentences, *map(advice_on, self.advised)])
        what = "nodes" if self.counts.total() == len(self.sentences) else "nodes and tensors"
        lines = [f"{self.path}: {len(self.sentences)} {what} cannot be compiled:"]
        lines += [f"  {sentence}" for sentence in self.sentences]
        lines.append("in sum, and what to do in the export:")
        for op, count in self.counts.most_common():
            advice = f": {advice_on(op)}" if op in self.advised else ""
            lines.append(f"  {count} {op}{advice}")
        return "\n".join(lines)
