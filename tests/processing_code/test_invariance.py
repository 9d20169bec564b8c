"""A model's numbers are its own: not the engine's that scores it, not the batch's it is scored in."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import training_jobs
from metrics import accuracy, mean
from model_archive import ModelArchive, parse_archive, scorer
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from ranking import Holdout, Protocol, group, measure

USERS, ITEMS, SIZE = 120, 300, 24
NAMES = [[str(one) for one in range(count)] for count in (USERS, ITEMS)]


def graph() -> bytes:
    """Sigmoid of factors' products and biases. Each item has a twin: only rounding can tell the two apart."""
    random = np.random.default_rng(1)
    half = (random.normal(size=(SIZE, ITEMS // 2)) / np.sqrt(SIZE)).astype(np.float32)
    constants = {
        "users": random.normal(size=(USERS, SIZE)).astype(np.float32),
        "items": np.concatenate([half, half], axis=1),
        "bias": np.tile(random.normal(size=ITEMS // 2), 2).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["users", "user"], ["rows"]),
        helper.make_node("MatMul", ["rows", "items"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]
    made = helper.make_graph(
        nodes,
        "score",
        [helper.make_tensor_value_info("user", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", ITEMS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


GRAPH = graph()


@pytest.fixture(scope="module")
def archive() -> ModelArchive:
    return parse_archive(training_jobs.packed(training_jobs.archive_of(GRAPH, *NAMES)))


def holdout() -> Holdout:
    random = np.random.default_rng(2)
    cells = random.permutation(USERS * ITEMS)
    user, item = np.divmod(cells, ITEMS)
    asked = np.arange(USERS)
    return Holdout(asked, group(user[:700], item[:700], asked), group(user[700:4000], item[700:4000], asked), ITEMS)


def metrics(archive: ModelArchive, users_at_once: int = 256) -> dict[str, float]:
    protocol = Protocol((1, 5, 20), 30, 1, users_at_once)
    held = holdout()
    return mean(accuracy(measure({"it": scorer(archive, *NAMES)}, held, protocol)["it"], held, protocol))


def reference() -> Callable[[np.ndarray], np.ndarray]:
    evaluator = ReferenceEvaluator(GRAPH)
    return lambda users: np.asarray(evaluator.run(None, {"user": users})[0])


def shaken() -> Callable[[np.ndarray], np.ndarray]:
    """The reference with the last bits of its scores shaken, as another machine's arithmetic would."""
    exact, random = reference(), np.random.default_rng(3)

    def score(users: np.ndarray) -> np.ndarray:
        scores = exact(users)
        return (scores * (1 + random.uniform(-2e-7, 2e-7, scores.shape))).astype(np.float32)

    return score


@pytest.mark.parametrize("users_at_once", [1, 7, 64, 1000])
def test_a_batch_changes_no_metric(archive: ModelArchive, users_at_once: int):
    assert metrics(archive, users_at_once) == pytest.approx(metrics(archive), abs=1e-6)


@pytest.mark.parametrize("engine", [reference, shaken])
def test_an_engine_changes_no_metric(archive: ModelArchive, engine: Callable):
    assert metrics(replace(archive, run=engine())) == pytest.approx(metrics(archive), abs=1e-6)
