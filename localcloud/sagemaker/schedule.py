"""Which steps may start: a pure function of the definition and of what has happened so far."""

from collections.abc import Mapping
from enum import Enum

from .definition import Definition, Step

SUCCEEDED = "Succeeded"
OVER = {"Succeeded", "Failed", "Stopped"}


class Fate(Enum):
    """What may become of a step that has not started."""

    READY = "ready"
    WAITING = "waiting"
    NEVER = "never"


def ready(definition: Definition, states: Mapping[str, str], outcomes: Mapping[str, bool]) -> list[str]:
    """Names of the steps to start now, in the definition's order.

    `states` has the status of every step that has started, `outcomes` that of every condition that is decided.
    """
    steps = definition.steps.values()
    return [s.name for s in steps if s.name not in states and fate(definition, s, states, outcomes) is Fate.READY]


def fate(definition: Definition, step: Step, states: Mapping[str, str], outcomes: Mapping[str, bool]) -> Fate:
    """Ready, waiting for another step, or never to run: beneath a failure or in the branch not taken."""
    fates = [_of_need(definition, need, states, outcomes) for need in _needs(definition, step, outcomes)]
    if step.parent:
        fates.append(_of_need(definition, step.parent[0], states, outcomes))
        if outcomes.get(step.parent[0], step.parent[1]) != step.parent[1]:
            return Fate.NEVER
    if Fate.NEVER in fates:
        return Fate.NEVER
    return Fate.WAITING if Fate.WAITING in fates else Fate.READY


def _needs(definition: Definition, step: Step, outcomes: Mapping[str, bool]) -> set[str]:
    """Its needs, and where one is a decided condition, also what that condition let run."""
    chosen = {name for need in step.needs if need in outcomes for name in definition.inside(need, outcomes[need])}
    return set(step.needs) | chosen - {step.name}


def _of_need(definition: Definition, need: str, states: Mapping[str, str], outcomes: Mapping[str, bool]) -> Fate:
    state = states.get(need)
    if state is None:
        below = fate(definition, definition.steps[need], states, outcomes)
        return Fate.NEVER if below is Fate.NEVER else Fate.WAITING
    if state == SUCCEEDED:
        return Fate.READY
    return Fate.NEVER if state in OVER else Fate.WAITING
