"""score.onnx: the one definition of a model's score, user int64[n] -> scores float32[n, items]."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from networks import Floats, Weights
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET = 17
IR_VERSION = 8


class Builder:
    """Collects nodes and constants; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output


def score_graph(weights: Weights) -> ModelProto:
    """The fitted network as a graph, with the MLP's first layer already multiplied out for each user and item.

    It needs n * items * width floats while it runs: callers pass few users at a time.
    """
    build = Builder()
    items = len(weights.bias)
    logits = build.constant("bias", weights.bias[None, :])
    if weights.gmf_user is not None and weights.gmf_item is not None:
        user = build.node("Gather", [build.constant("gmf_users", weights.gmf_user), "user"], "gmf_user")
        item = build.constant("gmf_items", np.ascontiguousarray(weights.gmf_item.T))
        logits = build.node("Add", [logits, build.node("MatMul", [user, item], "gmf")], "logits_gmf")
    if weights.mlp_user is not None and weights.mlp_item is not None:
        logits = build.node(
            "Add", [logits, tower(build, weights.mlp_user, weights.mlp_item, weights.tower)], "logits_mlp"
        )
    build.node("Sigmoid", [logits], "scores")
    return model(build, items)


def tower(build: Builder, users: Floats, items: Floats, layers: Sequence[tuple[Floats, Floats]]) -> str:
    """The MLP's part of the logits [n, items]."""
    user = build.node("Gather", [build.constant("mlp_users", users), "user"], "mlp_user")
    rows = build.node("Unsqueeze", [user, build.constant("middle", np.array([1]))], "mlp_rows")
    hidden = build.node("Add", [rows, build.constant("mlp_items", items)], "mlp_0")
    for level, (weight, bias) in enumerate(layers, start=1):
        hidden = build.node("Relu", [hidden], f"mlp_{level}_relu")
        product = build.node("MatMul", [hidden, build.constant(f"mlp_{level}_weight", weight)], f"mlp_{level}_product")
        hidden = build.node("Add", [product, build.constant(f"mlp_{level}_bias", bias)], f"mlp_{level}")
    return build.node("Squeeze", [hidden, build.constant("deep", np.array([2]))], "mlp")


def model(build: Builder, items: int) -> ModelProto:
    """The nodes as a checked model."""
    inputs = [helper.make_tensor_value_info("user", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", items])]
    graph = helper.make_graph(build.nodes, "score", inputs, outputs, build.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="training_code")
    made.ir_version = IR_VERSION
    checker.check_model(made)
    return made


def scores(graph: ModelProto, users: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Run the graph with ONNX's own reference evaluator; slow and exact, for the few users of golden.jsonl."""
    found = ReferenceEvaluator(graph).run(None, {"user": np.array(users, dtype=np.int64)})[0]
    return np.asarray(found, dtype=np.float32)
