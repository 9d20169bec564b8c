"""A search for hyperparameters on this machine: python -m pipelines search params/ncf.yml --train-dir DIR.

Each trial is a real training on a training channel that prepare.py left. A trial's score is the metric that training
measures on its own validation split; the holdout is not read.
"""

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from pipelines import ncf, rewriting, sources
from pipelines import params as parameters
from pipelines.errors import ProjectError
from pipelines.params import Params
from pipelines.space import MOST_PARALLEL, MOST_TRIALS, Search
from pipelines.study import Study, Values
from pipelines.trial import Outcome, Training

HOPELESS = 5  # SageMaker too gives up when so many trainings have failed and none has succeeded
CHANNEL = ("manifest.json", "interactions.parquet", "users.parquet", "items.parquet")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Given:
    """What the command line asks for; None means what params say."""

    path: Path
    train_dir: Path
    trials: int | None
    parallel: int | None
    write: bool


@dataclass(frozen=True)
class Scored:
    """A trial that succeeded."""

    number: int
    score: float
    values: Values


def run(root: Path, given: Given, say: Say) -> None:
    """Search, print a line for each trial, and at the end, or after Ctrl-C, the best values as a block of params.

    Raises ProjectError for params without a search, for a folder that is no training channel, without Optuna, and when
    no trial succeeds.
    """
    params = parameters.load(given.path)
    search = _asked(params, given)
    _check_channel(given.train_dir)
    trials = Trials(params, search, training(root, params, search, given.train_dir), say)
    for number in (signal.SIGINT, signal.SIGTERM):  # either way no training is left behind
        signal.signal(number, signal.default_int_handler)
    try:
        trials.run()
    finally:
        if trials.best:
            show(given.path, trials.best, f"best of {trials.done}: {params.objective}", say)
    if trials.best and given.write:
        write(given.path, trials.best, say)
    if not trials.best:
        raise ProjectError(f"{given.path}: search: none of {trials.done} trials succeeded: {trials.problem}")


def _asked(params: Params, given: Given) -> Search:
    """The search in params, with what the command line changes of it."""
    if params.search is None:
        raise ProjectError(f"{given.path}: search: missing; add search: {{model: ..., space: {{...}}}}")
    trials = params.search.trials if given.trials is None else given.trials
    parallel = min(params.search.parallel, trials) if given.parallel is None else given.parallel
    if not 1 <= trials <= MOST_TRIALS:
        raise ProjectError(f"--trials: {trials} is wrong; write 1 to {MOST_TRIALS}")
    if not 1 <= parallel <= min(trials, MOST_PARALLEL):
        raise ProjectError(f"--parallel: {parallel} is wrong; write 1 to {min(trials, MOST_PARALLEL)}")
    return params.search.model_copy(update={"trials": trials, "parallel": parallel})


def _check_channel(folder: Path) -> None:
    missing = [name for name in CHANNEL if not (folder / name).is_file()]
    if missing:
        raise ProjectError(
            f"--train-dir {folder}: no {missing[0]} there; name the train folder that processing_code/prepare.py wrote"
        )


def training(root: Path, params: Params, search: Search, train_dir: Path) -> Training:
    """What the trials have in common; they share this machine's processors."""
    return Training(
        program=root / sources.TRAINING / "train.py",
        train_dir=train_dir,
        hyperparameters={**ncf.hyperparameters(params), "models": search.model},
        objective=re.compile(ncf.objective(search.model, params.objective)),
        threads=max(1, (os.cpu_count() or 1) // search.parallel),
    )


class Trials:
    """The trials of one search: at most `parallel` at a time, each told to the study when it ends."""

    def __init__(self, params: Params, search: Search, training: Training, say: Say) -> None:
        self.search, self.training, self.say = search, training, say
        self.objective, names = params.objective, [dimension.name for dimension in params.dimensions]
        self.study = Study(search, params.dimensions, params.train.seed)
        self.study.begin_with(params.hyperparameters.model_dump(include=set(names)))
        self.begun = self.done = 0
        self.best: Scored | None = None
        self.problem = ""

    def run(self) -> None:
        """All of them, or as many as it takes to see that it is hopeless."""
        self.say(f"{'trial':>9}  {self.objective:>9}  {'best':>9}  {'seconds':>7}  values")
        stop = Event()
        with ThreadPoolExecutor(self.search.parallel) as pool:
            going_on: dict[Future[Outcome], tuple[int, Any, Values]] = {}
            try:
                while going_on or self._more():
                    while len(going_on) < self.search.parallel and self._more():
                        self.begun += 1
                        trial, values = self.study.ask()
                        going_on[pool.submit(self.training.run, values, stop)] = (self.begun, trial, values)
                    for ended in wait(going_on, return_when=FIRST_COMPLETED).done:
                        self._end(*going_on.pop(ended), ended.result())
            finally:
                stop.set()

    def _more(self) -> bool:
        hopeless = self.best is None and self.done >= HOPELESS
        return self.begun < self.search.trials and not hopeless

    def _end(self, number: int, trial: Any, values: Values, outcome: Outcome) -> None:
        self.done += 1
        self.study.tell(trial, outcome.score)
        if outcome.score is None:
            self.problem = outcome.problem
        elif self.best is None or outcome.score > self.best.score:
            self.best = Scored(number, outcome.score, values)
        self.say(self._row(number, values, outcome))

    def _row(self, number: int, values: Values, outcome: Outcome) -> str:
        score, best = (_shown(one) for one in (outcome.score, self.best.score if self.best else None))
        text = ", ".join(f"{name}: {value}" for name, value in values.items())
        place = f"{number}/{self.search.trials}"
        line = f"{place:>9}  {score:>9}  {best:>9}  {outcome.seconds:7.1f}  {text}"
        return f"{line}  failed: {outcome.problem}" if outcome.problem else line


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{score:.6f}"


def show(path: Path, best: Scored, what: str, say: Say) -> None:
    """The best trial, and params' hyperparameters with its values."""
    say(f"{what} {best.score:.6f} on the validation split, in trial {best.number}")
    say(rewriting.block(path, changed(path, best), "hyperparameters"))


def write(path: Path, best: Scored, say: Say) -> None:
    """Put the best values into the params file."""
    text = changed(path, best)
    parameters.load(path, text)
    rewriting.replace(path, text)
    say(f"{path}: hyperparameters written; take search: out to train once with them, not to search again")


def changed(path: Path, best: Scored) -> str:
    """The params file's text with the best values."""
    return rewriting.with_values(path, path.read_bytes().decode(), "hyperparameters", best.values)
