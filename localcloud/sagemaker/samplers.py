"""Which values a tuning job tries next. A new strategy is one class and one line in SAMPLERS."""

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .store import Row, invalid, unsupported

Values = dict[str, str]
SCALES = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")  # what Auto comes to is AWS's own: here it is Linear


@dataclass(frozen=True)
class Numbers:
    """A range of real or of whole numbers, both ends included."""

    name: str
    least: float
    most: float
    scale: str
    whole: bool

    def at(self, place: float) -> str:
        """The value at a place from 0 to 1 along the scale."""
        low, high = self.least, self.most
        if self.whole:  # so that both ends are as likely as the others
            low, high = low - 0.5, high + 0.5
        if self.scale == "Logarithmic":
            value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
        elif self.scale == "ReverseLogarithmic":
            value = 1 - math.exp(math.log(1 - low) + place * (math.log(1 - high) - math.log(1 - low)))
        else:
            value = low + place * (high - low)
        inside = min(max(value, self.least), self.most)
        return str(min(max(round(value), int(self.least)), int(self.most))) if self.whole else repr(inside)


@dataclass(frozen=True)
class Words:
    """One of a few values."""

    name: str
    values: tuple[str, ...]

    def at(self, place: float) -> str:
        """The value at a place from 0 to 1."""
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]


Dimension = Numbers | Words


def dimensions(ranges: Row) -> tuple[Dimension, ...]:
    """ParameterRanges by name; ValidationException for what cannot be searched."""
    found: list[Dimension] = [_numbers(row, whole=False) for row in ranges.get("ContinuousParameterRanges") or []]
    found += [_numbers(row, whole=True) for row in ranges.get("IntegerParameterRanges") or []]
    for row in ranges.get("CategoricalParameterRanges") or []:
        found.append(Words(row["Name"], tuple(row["Values"])))
    names = [dimension.name for dimension in found]
    if not names:
        raise invalid("At least one hyperparameter range is required in ParameterRanges.")
    if len(names) != len(set(names)):
        raise invalid(f"Hyperparameter ranges must have unique names: {', '.join(sorted(names))}")
    return tuple(sorted(found, key=lambda dimension: dimension.name))


def _numbers(row: Row, *, whole: bool) -> Numbers:
    name, scale = row["Name"], row.get("ScalingType", "Auto")
    try:
        least, most = (float((int if whole else float)(row[key])) for key in ("MinValue", "MaxValue"))
    except ValueError:
        kind = "integers" if whole else "numbers"
        raise invalid(f"Hyperparameter range {name}: MinValue and MaxValue must be {kind}.") from None
    if not least < most or not math.isfinite(most - least):
        raise invalid(f"Hyperparameter range {name}: MinValue {row['MinValue']} must be below {row['MaxValue']}.")
    if scale == "Logarithmic" and least <= 0:
        raise invalid(f"Hyperparameter range {name}: Logarithmic scaling needs a MinValue above 0.")
    if scale == "ReverseLogarithmic" and (whole or least < 0 or most >= 1):
        raise invalid(f"Hyperparameter range {name}: ReverseLogarithmic scaling needs real values from 0 to below 1.")
    return Numbers(name, least, most, scale, whole)


class Sampler(Protocol):
    """Answers values until there are no more, and may learn from what came of them."""

    def ask(self, number: int) -> Values | None:
        """The values of training job `number`, from 1; None if all have been tried."""

    def tell(self, number: int, score: float | None) -> None:
        """The objective of training job `number`, the larger the better; None if it has none."""


class Random:
    """Values drawn independently; equal seeds draw the same."""

    def __init__(self, space: tuple[Dimension, ...], seed: int | None) -> None:
        self._space, self._random = space, random.Random(seed)  # noqa: S311 no secret

    def ask(self, _: int) -> Values | None:
        return {dimension.name: dimension.at(self._random.random()) for dimension in self._space}

    def tell(self, number: int, score: float | None) -> None:
        """What came of earlier ones changes nothing."""


class Grid:
    """Every combination of categorical values, once."""

    def __init__(self, space: tuple[Dimension, ...], _: int | None) -> None:
        words = [dimension for dimension in space if isinstance(dimension, Words)]
        if len(words) < len(space):
            raise invalid("The Grid strategy takes categorical hyperparameter ranges only.")
        names = [dimension.name for dimension in words]
        product = itertools.product(*(dimension.values for dimension in words))
        self.all = [dict(zip(names, values, strict=True)) for values in product]

    def ask(self, number: int) -> Values | None:
        return self.all[number - 1] if number <= len(self.all) else None

    def tell(self, number: int, score: float | None) -> None:
        """What came of earlier ones changes nothing."""


class Bayesian:
    """Optuna's tree-structured Parzen estimator, where Optuna is installed beside localcloud."""

    def __init__(self, space: tuple[Dimension, ...], seed: int | None) -> None:
        try:
            import optuna
        except ImportError as error:
            raise unsupported(
                "CreateHyperParameterTuningJob", "Strategy Bayesian where Optuna is not installed; use Random or Grid"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._trials = space, dict[int, Any]()
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def ask(self, number: int) -> Values | None:
        trial = self._trials[number] = self._study.ask()
        return {dimension.name: _suggested(trial, dimension) for dimension in self._space}

    def tell(self, number: int, score: float | None) -> None:
        from optuna.trial import TrialState

        state = TrialState.FAIL if score is None else TrialState.COMPLETE
        self._study.tell(self._trials.pop(number), score, state=state)


def _suggested(trial: Any, dimension: Dimension) -> str:
    if isinstance(dimension, Words):
        return str(trial.suggest_categorical(dimension.name, dimension.values))
    log, low, high = dimension.scale == "Logarithmic", dimension.least, dimension.most
    if dimension.whole:
        return str(trial.suggest_int(dimension.name, int(low), int(high), log=log))
    if dimension.scale == "ReverseLogarithmic":
        return repr(min(max(1 - float(trial.suggest_float(dimension.name, 1 - high, 1 - low, log=True)), low), high))
    return repr(float(trial.suggest_float(dimension.name, low, high, log=log)))


SAMPLERS: Mapping[str, Any] = {"Random": Random, "Grid": Grid, "Bayesian": Bayesian}


def sampler(config: Row, ranges: tuple[Dimension, ...]) -> Sampler:
    """The sampler of a HyperParameterTuningJobConfig; a strategy that is not done here is refused by name."""
    strategy, limit = config["Strategy"], config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if strategy not in SAMPLERS:
        raise unsupported("CreateHyperParameterTuningJob", f"Strategy {strategy}; use {', '.join(SAMPLERS)}")
    found: Sampler = SAMPLERS[strategy](ranges, config.get("RandomSeed"))
    if isinstance(found, Grid) and limit not in (None, len(found.all)):
        raise invalid(
            f"MaxNumberOfTrainingJobs {limit} must equal the number of categorical combinations, {len(found.all)}."
        )
    if not isinstance(found, Grid) and limit is None:
        raise invalid(f"MaxNumberOfTrainingJobs is required for the {strategy} strategy.")
    return found
