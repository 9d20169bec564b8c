"""score.onnx: the one definition of a model's score, user int64[n] -> scores float32[n, items]."""

from collections.abc import Sequence
from typing import Any

import numpy as np
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

    def filled(self, shape: str, value: float, output: str) -> str:
        """An array of one value."""
        content = numpy_helper.from_array(np.array([value], dtype=np.float32), "value")
        return self.node("ConstantOfShape", [shape], output, value=content)

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output


def proto(build: Builder, items: int) -> ModelProto:
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
