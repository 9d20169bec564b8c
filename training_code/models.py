"""Which models there are, and how one of them is fitted and judged."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from als import ImplicitALS
from dataset import Dataset
from ease import EASE
from model import Model
from ncf import GMF, MLP, NCF, NeuMF, PretrainedNeuMF
from run import Run
from settings import Settings
from validation import Epoch, Quality, Report, Watch, measure, split

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
    """A model, and its quality on what was held back while it was chosen."""

    model: Model
    quality: Quality


def in_epochs(name: str) -> bool:
    """Whether a model learns by gradients, which several machines can share; the others are rank 0's alone."""
    return issubclass(MODELS[name], NCF)


def fit(
    name: str, data: Dataset, settings: Settings, report: Report = lambda epoch: None, run: Run | None = None
) -> Fitted:
    """Fit and judge one model. Every model of a seed is judged by the same split, so that they can be compared.

    Raises TrainingError where nothing worth saving comes of it.
    """
    parts = split(data, settings.test_num_ng, np.random.default_rng(settings.seed))
    watch = Watch(parts, settings, report, run)
    kind = MODELS[name]
    model = kind.fit(parts.train, settings, watch)
    quality = measure(model.score, parts, settings.top_k)
    if watch.best is None:
        report(Epoch(1, quality, None))
    return Fitted(kind.fit(data, settings, watch.quiet()) if kind.refits else model, quality)
