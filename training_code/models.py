"""Which models there are, and how one of them is fitted and judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from als import ImplicitALS
from curves import Points, shown
from dataset import Dataset
from ease import EASE
from model import Model
from ncf import GMF, MLP, NCF, NeuMF, PretrainedNeuMF
from run import Run
from settings import Settings
from validation import Quality, Report, Watch, nothing_held, split

# a new model is a file and one line here (and its name in pipelines/params.py)
MODELS: Mapping[str, type[Model]] = {
    "gmf": GMF,
    "mlp": MLP,
    "neumf": NeuMF,
    "neumf_pretrained": PretrainedNeuMF,
    "als": ImplicitALS,
    "ease": EASE,
}


@dataclass(frozen=True)
class Fitted:
    """A model; its quality on what was held back while it was chosen, the epoch that was best, and what led there."""

    model: Model
    quality: Quality
    epochs: int
    curves: Mapping[str, Points] = field(default_factory=dict)


def in_epochs(name: str) -> bool:
    """Whether a model learns by gradients, which several machines can share; the others are rank 0's alone."""
    return issubclass(MODELS[name], NCF)


def fit(
    name: str, data: Dataset, settings: Settings, report: Report = lambda epoch: None, run: Run | None = None
) -> Fitted:
    """Fit and judge one model; then, if `refit` says so, fit it on all data, for as many epochs as were best.

    Every model of a seed is judged by the same split, so that they can be compared. Raises TrainingError where nothing
    worth saving comes of it.
    """
    kind, parts = MODELS[name], split(data, settings)
    watch = Watch(parts, settings, report, run)
    model = kind.fit(parts.train, settings, watch)
    if watch.best is None:  # it has no epochs
        watch(1, model.score)
    best = watch.judged()
    if settings.refit and len(parts.validation.user):
        model = kind.fit(data, replace(settings, epochs=best.number, patience=0), blind(data, settings, run))
    return Fitted(model, best.quality, best.number, shown(watch.curves))


def blind(data: Dataset, settings: Settings, run: Run | None) -> Watch:
    """A watch that has nobody to ask: training runs to its last epoch."""
    return Watch(nothing_held(data), settings, lambda epoch: None, run)
