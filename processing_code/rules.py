"""The gate's rules as they are given: one text for each, or a mapping. Everything that no rule reads is an error.

absolute.ndcg@10.min=0.02                    a metric's bounds: min, max
relative.metric=ndcg@10                      what models are compared by, with the champion and with baselines
relative.interval=0.95                       the level of every interval
relative.max_drop=0.005                      how far below the champion
baselines.als.max_drop=0.005                 how far below a tuned baseline
slices.activity=low.ndcg@10.min=0.01         a metric's bounds among some users or items only
sanity.beat_popularity=true sanity.min_users=200
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from problems import ProcessingError

Rules = Mapping[str, Any]
BOUNDS = {"min": "number", "max": "number"}
DROP = {"max_drop": "number"}
# what each rule may say and what kind of value it takes; `*` is any name
SHAPE: Mapping[str, Any] = {
    "absolute": {"*": BOUNDS},
    "relative": {"metric": "text", "interval": "number", **DROP},
    "baselines": {"*": DROP},
    "slices": {"*": {"*": BOUNDS}},
    "sanity": {"beat_popularity": "truth", "min_users": "number"},
}
COMPARABLE = re.compile(r"(?:hr|recall|ndcg|mrr)@[1-9][0-9]{0,3}")  # of each user, and more of it is better
DEFAULT_METRIC, DEFAULT_LEVEL = "ndcg@10", 0.95


def read_rules(texts: Sequence[str]) -> Rules:
    """`absolute.ndcg@10.min=0.02` and so on as one mapping. Raises ProcessingError for what is no rule."""
    rules: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.rpartition("=")
        *folders, last = path.split(".")
        place = rules
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ProcessingError(f"gate: {text!r} contradicts another rule; right is one value for each")
        if not equals or last in place:
            raise ProcessingError(f"gate: {text!r} is no rule or there twice; right is like absolute.ndcg@10.min=0.02")
        place[last] = value_of(value)
    check_rules(rules)
    return rules


def value_of(text: str) -> Any:
    """A JSON number or truth, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_rules(rules: Rules) -> None:
    """Refuse what no rule reads: a misspelt rule would be a gate that is off. Raises ProcessingError."""
    check("gate", rules, SHAPE)
    level = level_of(rules)
    if not 0 < level < 1:
        raise ProcessingError(f"gate.relative.interval: is {level!r}; right is between 0 and 1")
    if not COMPARABLE.fullmatch(metric_of(rules)):
        raise ProcessingError(
            f"gate.relative.metric: is {metric_of(rules)!r}; right is hr@k, recall@k, ndcg@k or mrr@k"
        )


def check(where: str, found: Any, shape: Mapping[str, Any]) -> None:
    """Refuse other keys than the shape's and values of another kind."""
    right = ", ".join(f"{key} (a {kind})" if isinstance(kind, str) else key for key, kind in shape.items())
    if not isinstance(found, Mapping) or ("*" not in shape and set(found) - set(shape)):
        raise ProcessingError(f"{where}: is {found!r}; right are {right}")
    for key, value in found.items():
        kind = shape.get(key, shape.get("*"))
        if isinstance(kind, Mapping):
            check(f"{where}.{key}", value, kind)
            if not value and "*" in shape:
                raise ProcessingError(f"{where}.{key}: is empty; right are {', '.join(kind)}")
        elif kind_of(value) != kind:
            raise ProcessingError(f"{where}.{key}: is {value!r}; right is a {kind}")


def kind_of(value: Any) -> str:
    """truth, text, number (finite) or other."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and math.isfinite(value) else "other"


def metric_of(rules: Rules) -> str:
    """The metric that models are compared by: the one named, else the first that is asked about and can be."""
    named = rules.get("relative", {}).get("metric")
    asked = (name for name in rules.get("absolute", {}) if COMPARABLE.fullmatch(name))
    return str(named or next(asked, DEFAULT_METRIC))


def level_of(rules: Rules) -> float:
    """The level of the intervals."""
    return float(rules.get("relative", {}).get("interval", DEFAULT_LEVEL))
