"""The space hyperparameters are searched in: one reading of it, for Optuna here and for SageMaker's tuning step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.errors import nearest
from pipelines.models import Section, problem, text
from pipelines.names import Word

# these say how a model is judged: trials that differ in them could not be compared
NOT_SEARCHED = {"top_k", "test_num_ng"}
MOST_TRIALS, MOST_PARALLEL = 500, 10  # SageMaker's own limits for one tuning job are 750 and 10
Objective = Annotated[str, text(r"^(?:ndcg|hr)@[1-9][0-9]{0,3}$", "ndcg@k or hr@k")]
Value = Annotated[
    Any, Field(json_schema_extra={"type": ["number", "string", "boolean"]})
]  # held to its hyperparameter's type


class Range(Section):
    """Where one hyperparameter may lie: from `min` to `max`, or one of `values`."""

    min: float | None = None
    max: float | None = None
    scale: Literal["linear", "log"] | None = None
    values: Annotated[tuple[Value, ...], Field(strict=False, min_length=2, max_length=30)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if self.values is None and len(bounds) < 2:
            raise ValueError(f"{'has one bound' if bounds else 'is empty'}; give min and max, or values")
        if self.values is not None and (bounds or self.scale):
            raise ValueError("values go alone; give either them, or min, max and scale")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}; a fixed value goes to hyperparameters")
        if self.scale == "log" and self.min is not None and self.min <= 0:
            raise ValueError(f"min {self.min:g} has no logarithm; raise it above 0 or write scale: linear")
        return self


class Search(Section):
    """A search for better hyperparameters of one model, judged by the split that training itself judges by."""

    model: Word
    objective: Objective | None = None
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 20
    parallel: Annotated[int, Field(ge=1, le=MOST_PARALLEL)] = 1
    strategy: Literal["Bayesian", "Random"] = "Bayesian"
    space: Annotated[dict[str, Range], Field(min_length=1, max_length=30)]

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.parallel > self.trials:
            raise ValueError(f"parallel: {self.parallel} is more than trials {self.trials}; lower it")
        return self


def refuse_unless_trained(search: Search, models: Sequence[str], objective: str, depth: int) -> None:
    """Raise ValueError where a search does not fit the models that are trained, or the depth they are measured at."""
    if search.model not in models:
        raise ValueError(f"search.model: {search.model} is not in train.models; write {' or '.join(models)}")
    wanted = objective.partition("@")[2]
    if int(wanted) != depth:
        raise ValueError(f"search.objective: training measures at {depth}, not {wanted}; write {wanted} as top_k")


def as_text(value: object) -> str:
    """A hyperparameter as train.py is told it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Continuous:
    """A real number; SageMaker's ContinuousParameterRange, Optuna's suggest_float."""

    name: str
    least: float
    most: float
    log: bool


@dataclass(frozen=True)
class Integer:
    """A whole number, both ends included; SageMaker's IntegerParameterRange, Optuna's suggest_int."""

    name: str
    least: int
    most: int
    log: bool


@dataclass(frozen=True)
class Categorical:
    """One of a few values; SageMaker's CategoricalParameterRange, Optuna's suggest_categorical."""

    name: str
    values: tuple[Any, ...]


Dimension = Continuous | Integer | Categorical


def dimensions(space: Mapping[str, Range], known: type[Section]) -> tuple[Dimension, ...]:
    """The space by name, each range held against the hyperparameter of that name in `known`.

    Raises ValueError `search.space.<name>: what is wrong; what would be right`.
    """
    return tuple(_dimension(name, given, known) for name, given in sorted(space.items()))


def _dimension(name: str, given: Range, known: type[Section]) -> Dimension:
    names = [other for other in known.model_fields if other not in NOT_SEARCHED]
    if name not in names:
        match = nearest(name, names)
        remedy = f"did you mean {match}?" if match else f"there are {', '.join(names)}"
        raise ValueError(f"search.space.{name}: no hyperparameter that can be searched; {remedy}")
    if given.values is not None:
        return Categorical(name, _distinct(name, [_typed(name, "values", one, known) for one in given.values]))
    if given.min is None or given.max is None:
        raise AssertionError("a range without values has bounds")
    kind, log = known.model_fields[name].annotation, given.scale == "log"
    if kind is float:
        return Continuous(name, _typed(name, "min", given.min, known), _typed(name, "max", given.max, known), log)
    if kind is not int:
        raise ValueError(f"search.space.{name}: is no number; give values")
    least, most = (_whole(name, key, bound) for key, bound in (("min", given.min), ("max", given.max)))
    return Integer(name, _typed(name, "min", least, known), _typed(name, "max", most, known), log)


def _typed(name: str, key: str, value: object, known: type[Section]) -> Any:
    """The value as the hyperparameter's own type, within the hyperparameter's own bounds."""
    said = problem(known, {name: value})
    if said:
        raise ValueError(f"search.space.{name}.{key}: {said.partition(': ')[2]}")
    return getattr(known.model_validate({name: value}), name)


def _whole(name: str, key: str, value: float) -> int:
    if not value.is_integer():
        raise ValueError(f"search.space.{name}.{key}: {value:g} is not whole; {name} is")
    return int(value)


def _distinct(name: str, values: list[Any]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"search.space.{name}.values: each value once")
    return tuple(values)
