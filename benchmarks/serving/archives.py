"""The models that are served: trained by training_code's own entry, and the same network as a peer would export it."""

import hashlib
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Arrays
from ..catalogues import Size, tiny, write
from ..datasets import DATASETS, write_channel
from ..ours import TRAINING_CODE, training
from ..trials import ROOT, say, task

LIKE_ML1M = "synthetic, of ml-1m's size"
ML1M_SIZE = (6040, 3706)
CACHE = ROOT / ".bench" / "serving"


def built(name: str, task_name: str, settings: Mapping[str, Any]) -> Path:
    """A model's folder in the cache, built if the code or the settings are not those it was built with."""
    folder = CACHE / name
    mark = folder / "built.json"
    wanted = {"task": task_name, "settings": dict(settings), "code": code_digest(task_name)}
    if not mark.exists() or json.loads(mark.read_text(encoding="utf-8")) != wanted:
        say(f"making {name}")
        mark.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        task(task_name, folder, settings)
        mark.write_text(json.dumps(wanted), encoding="utf-8")
    return folder


def code_digest(task_name: str) -> str:
    """Changes with the code that writes such an archive."""
    if task_name == "trained_archive":
        modules = [*sorted(TRAINING_CODE.glob("*.py")), Path(__file__)]
    else:
        modules = [TRAINING_CODE / f"{name}.py" for name in ("als", "archive", "graph", "ncf")]
        modules.append(ROOT / "benchmarks" / "catalogues.py")
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()


def trained(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: model/ with the archive that train.py writes of settings["data"], and plain.onnx beside it."""
    arrays = DATA[settings["data"]](settings["interactions"])
    write_channel(folder / "train", arrays)
    own = [f"--{name}={value}" for name, value in settings["hyperparameters"].items()]
    folders = [f"--train-dir={folder / 'train'}", f"--model-dir={folder}"]
    training("train").train([*folders, "--models=neumf", "--epochs=1", *own])
    unpack(folder / "neumf.tar.gz", folder / "model")
    model = training("model").load(training("ncf").NeuMF, folder / "model" / "score.onnx")
    (folder / "plain.onnx").write_bytes(plain(model).SerializeToString(deterministic=True))
    return {"users": arrays.users, "items": arrays.items}


def like_ml1m(interactions: int) -> Arrays:
    """As many users and items as ml-1m, and no structure but popularity: for those who have no copy of it."""
    random = np.random.default_rng(1)
    users, items = ML1M_SIZE
    item = (items * random.random(interactions) ** 2).astype(np.int64)
    pairs = np.unique(random.integers(users, size=interactions) * items + item)
    taken, took = (column.astype(np.int32) for column in np.divmod(pairs, items))
    none = np.zeros(0, dtype=np.int32)
    return Arrays(LIKE_ML1M, users, items, taken, took, np.arange(len(pairs)), none, none, none)


DATA: Mapping[str, Callable[[int], Arrays]] = {**DATASETS, LIKE_ML1M: like_ml1m}


def unpack(path: Path, folder: Path) -> None:
    """An archive's plain files."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                (folder / Path(member.name).name).write_bytes(content.read())


def plain(model: Any) -> Any:
    """A NeuMF as its training would export it: the first layer takes [user; item] of every pair, whole.

    The archive holds that layer multiplied out, Wu.u and Wi.i. An embedding times an orthogonal matrix gives each back,
    so this graph has the same scores, and the size and the cost of the network that was trained.
    """
    build = training("graph").Builder()
    width = model.mlp_users.shape[1]
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((2, width, width)))[0].astype(np.float32)
    embeddings = [part @ one.T for part, one in zip((model.mlp_users, model.mlp_items), turn, strict=True)]
    tower = ((np.concatenate(turn), np.zeros(width, dtype=np.float32)), *model.tower)
    user = build.node("Gather", [build.constant("users", embeddings[0]), "user"], "user_row")
    pairs = build.node("Concat", [everywhere(build, user, len(model.bias)), build.constant("items", embeddings[1])],
                       "pairs", axis=1)  # fmt: skip
    hidden = pairs
    for level, (weight, bias) in enumerate(tower):
        hidden = hidden if level == 0 else build.node("Relu", [hidden], f"relu_{level}")
        product = build.node("MatMul", [hidden, build.constant(f"weight_{level}", weight)], f"product_{level}")
        hidden = build.node("Add", [product, build.constant(f"bias_{level}", bias)], f"layer_{level}")
    deep = build.node("Transpose", [hidden], "deep", perm=[1, 0])
    gmf = build.node("Gather", [build.constant("gmf_users", model.gmf_users), "user"], "gmf_user")
    items = build.constant("gmf_items", np.ascontiguousarray(model.gmf_items.T))
    wide = build.node("Add", [build.node("MatMul", [gmf, items], "gmf"), build.constant("bias", model.bias)], "wide")
    build.node("Sigmoid", [build.node("Add", [wide, deep], "logits")], "scores")
    return training("graph").proto(build, len(model.bias))


def everywhere(build: Any, row: str, items: int) -> str:
    """The one user's row, once for each item."""
    return str(build.node("Expand", [row, build.constant("each", np.array([items, 1]))], "user_rows"))


def catalogue(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: model/ with a synthetic archive of any size."""
    write(folder / "model", Size(**settings))
    return {}


def many(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: so many tiny archives, model <n> in <n>/model."""
    for number in range(settings["count"]):
        tiny(folder / str(number) / "model", number)
    return {}
