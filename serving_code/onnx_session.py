"""Any other graph, run by ONNX Runtime. Imported only for one: the runtime takes 40 MB and a tenth of a second."""

from typing import Any

import numpy as np
import onnxruntime

from .constants import Floats, Places
from .members import refuse_unless


class Session:
    """A score that only its graph defines."""

    def __init__(self, graph: bytes, items: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # requests run side by side instead
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        inputs = [(one.name, one.type, len(one.shape)) for one in self._session.get_inputs()]
        outputs = [(one.type, one.shape[1:]) for one in self._session.get_outputs()]
        refuse_unless(inputs == [("user", "tensor(int64)", 1)], f"score.onnx takes {inputs}, not user int64[n]")
        right = outputs == [("tensor(float)", [items])]
        refuse_unless(right, f"score.onnx gives {outputs}, not float32[n, {items}]")

    def row(self, user: int) -> Floats:
        found: Any = self._session.run(None, {"user": np.array([user], dtype=np.int64)})[0]
        return np.array(found[0], dtype=np.float32)

    def pairs(self, users: Places, items: Places) -> Floats:
        found = np.empty(len(users), dtype=np.float32)
        for user in np.unique(users).tolist():
            own = users == user
            found[own] = self.row(user)[items[own]]
        return found

    def shown(self, values: Floats) -> Floats:
        return values
