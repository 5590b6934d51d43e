"""Which layers take part at inference: the TEST phase and its rules."""

from __future__ import annotations

from bmnetu.frontend.ufw_pb2 import LayerParameter, NetState, NetStateRule, Phase


def inference_state(state: NetState) -> NetState:
    """The net's own level and stages, in the TEST phase."""
    found = NetState()
    found.CopyFrom(state)
    found.phase = Phase.TEST
    return found


def meets(state: NetState, rule: NetStateRule) -> bool:
    """Whether the state has the rule's phase, level and stages."""
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and set(rule.stage) <= set(state.stage)
        and not set(rule.not_stage) & set(state.stage)
    )


def takes_part(layer: LayerParameter, state: NetState) -> bool:
    """Caffe's rule: met by an include rule if there are any, and by no exclude rule."""
    if layer.include:
        return any(meets(state, rule) for rule in layer.include)
    return not any(meets(state, rule) for rule in layer.exclude)
