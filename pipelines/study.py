"""Which values to try next: Optuna's, from the same space that a SageMaker tuning step searches."""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.errors import ProjectError
from pipelines.space import Categorical, Continuous, Dimension, Integer, Search

LOCK = "requirements.search.lock"
DIGITS = 6  # significant digits of a real number: what is written down is exactly what was tried
Values = dict[str, Any]


class Study:
    """Asks Optuna for values and tells it what came of them. One at a time, the same seed asks the same."""

    def __init__(self, search: Search, dimensions: tuple[Dimension, ...], seed: int) -> None:
        """Raises ProjectError when Optuna is not installed."""
        optuna = _optuna()
        self.dimensions = dimensions
        self.study = optuna.create_study(direction="maximize", sampler=SAMPLERS[search.strategy](optuna, seed))

    def begin_with(self, values: Values) -> None:
        """Try these first, if they lie in the space."""
        if all(_inside(dimension, values[dimension.name]) for dimension in self.dimensions):
            self.study.enqueue_trial(values)

    def ask(self) -> tuple[Any, Values]:
        """A trial, to be told about later, and its values."""
        trial = self.study.ask()
        return trial, {one.name: SUGGEST[type(one)](trial, one) for one in self.dimensions}

    def tell(self, trial: Any, score: float | None) -> None:
        """What came of a trial; None if it failed."""
        from optuna.trial import TrialState

        state = TrialState.FAIL if score is None else TrialState.COMPLETE
        self.study.tell(trial, score, state=state)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ProjectError(
            f"search: Optuna is not installed; run python -m uv pip install --require-hashes -r {LOCK}"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _continuous(trial: Any, dimension: Any) -> float:
    value = trial.suggest_float(dimension.name, dimension.least, dimension.most, log=dimension.log)
    return float(min(max(float(f"{value:.{DIGITS}g}"), dimension.least), dimension.most))


def _integer(trial: Any, dimension: Any) -> int:
    return int(trial.suggest_int(dimension.name, dimension.least, dimension.most, log=dimension.log))


def _categorical(trial: Any, dimension: Any) -> Any:
    return trial.suggest_categorical(dimension.name, dimension.values)


def _inside(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Categorical):
        return value in dimension.values
    return bool(dimension.least <= value <= dimension.most)


SUGGEST: Mapping[type[Dimension], Callable[[Any, Any], Any]] = {
    Continuous: _continuous,
    Integer: _integer,
    Categorical: _categorical,
}
# params' name of a strategy -> Optuna's sampler; a new one is one line here
SAMPLERS: Mapping[str, Callable[[Any, int], Any]] = {
    "Bayesian": lambda optuna, seed: optuna.samplers.TPESampler(seed=seed),
    "Random": lambda optuna, seed: optuna.samplers.RandomSampler(seed=seed),
}
