"""The peer RecBole (1.2.1): its NeuMF with the reference's sizes, through its own Dataset, DataLoader and Trainer.

Its tuner's packages (ray) and its flop counter (thop) are not installed; nothing here needs them.
"""

import contextlib
import itertools
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import recbole
import torch

from .arrays import Arrays, load
from .protocol import sampled_hit_rate

warnings.simplefilter("ignore")  # pandas and torch announce what they will drop, many times an epoch
PAIRS_AT_ONCE = 2**16


def train(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds and sampled HR@10 of each epoch; with settings["steps"], an epoch's time extrapolated from so many."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender.neumf import NeuMF
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    sys.argv = sys.argv[:1]  # it would take the rest for its own
    arrays = load(folder)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):  # it leaves logs where it stands
        write_interactions(Path(scratch), arrays)
        config = Config(model="NeuMF", dataset="data", config_dict=configuration(Path(scratch), settings))
        init_seed(settings["seed"], reproducibility=True)
        dataset = create_dataset(config)
        loader, _, _ = data_preparation(config, dataset)
        network = NeuMF(config, loader.dataset)
        trainer = Trainer(config, network)
        steps = min(settings.get("steps") or len(loader), len(loader))
        seconds, hits = [], []
        for number in range(1, settings["epochs"] + 1):
            trainer.start_epoch, trainer.epochs = number - 1, number
            began = time.perf_counter()
            trainer.fit(First(loader, steps), saved=False, verbose=False)
            seconds.append((time.perf_counter() - began) * len(loader) / steps)
            if steps < len(loader):
                return {"seconds": seconds, "extrapolated_from_steps": steps, "version": recbole.__version__}
            hits.append(hit_rate(network, dataset, arrays))
            print(f"epoch {number}: HR={hits[-1]:.4f}; {seconds[-1]:.1f} s", flush=True)
    return {"seconds": seconds, "hr@10": hits, "version": recbole.__version__}


class First:
    """A loader that ends after so many batches, and is that loader in everything else."""

    def __init__(self, loader: Any, steps: int) -> None:
        self.loader, self.steps = loader, steps

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.loader), self.steps)

    def __len__(self) -> int:
        return self.steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


def write_interactions(folder: Path, arrays: Arrays) -> None:
    """RecBole's atomic file."""
    (folder / "data").mkdir()
    pairs = np.stack([arrays.user, arrays.item], axis=1)
    header = "user_id:token\titem_id:token"
    np.savetxt(folder / "data" / "data.inter", pairs, fmt="%d", delimiter="\t", header=header, comments="")


def configuration(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The reference's sizes in RecBole's words; its batch counts samples with their negatives, as ours does."""
    width = settings["factors"] * 2 ** (settings["layers"] - 1)
    return {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "load_col": {"inter": ["user_id", "item_id"]},
        "train_batch_size": settings["batch"],
        "learning_rate": settings["lr"],
        "mf_embedding_size": settings["factors"],
        "mlp_embedding_size": width,
        "mlp_hidden_size": [width // 2**level for level in range(settings["layers"])],
        "dropout_prob": 0.0,
        "train_neg_sample_args": {
            "distribution": "uniform", "sample_num": settings["negatives"], "dynamic": False, "candidate_num": 0
        },
        "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": "none", "mode": "full"},
        "use_gpu": False,
        "show_progress": False,
        "state": "WARNING",
        "seed": settings["seed"],
    }  # fmt: skip


def hit_rate(network: torch.nn.Module, dataset: Any, arrays: Arrays) -> float:
    """Sampled HR@10; an item that RecBole never saw in training is its padding."""
    places = dataset.field2token_id
    users, items = (
        np.array([places[field].get(str(one), 0) for one in range(count)], dtype=np.int64)
        for field, count in (("user_id", arrays.users), ("item_id", arrays.items))
    )
    network.eval()

    def score(user: np.ndarray[Any, Any], item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            pairs = zip(
                torch.from_numpy(users[user]).split(PAIRS_AT_ONCE),
                torch.from_numpy(items[item]).split(PAIRS_AT_ONCE),
                strict=True,
            )
            return np.asarray(torch.cat([network(*pair) for pair in pairs]).numpy())

    return sampled_hit_rate(score, arrays)
