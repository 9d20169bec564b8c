"""The whole state of a training between two epochs as bytes and back: npz for the numbers, JSON for the rest."""

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from curves import Curves
from validation import Epoch, Quality, Watch

if TYPE_CHECKING:
    from fitting import State

Arrays = dict[str, np.ndarray[Any, Any]]


def taken(state: "State", watch: Watch) -> bytes:
    """Everything that the epochs to come depend on: whoever goes on from it ends with the same bytes."""
    facts = {
        "epoch": state.epoch,
        "generator": state.generator.bit_generator.state,
        "best": None if watch.best is None else asdict(watch.best),
        "ended": watch.ended,
        "curves": watch.curves,
    }
    arrays: Arrays = {
        "facts": np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
        "dropout": torch.get_rng_state().numpy(),
        **named("network", state.network.state_dict()),
        **named("best", state.best),
    }
    for place, moments in state.optimiser.state_dict()["state"].items():
        arrays |= named(f"optimiser {place}", moments)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def restore(content: bytes, state: "State", watch: Watch) -> None:
    """Make a state that has just begun, and its watch, what they were when the snapshot was taken."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        facts = json.loads(arrays["facts"].tobytes())
        state.network.load_state_dict(group(arrays, "network"))
        state.best = {name: tensor.to(state.run.machine.device) for name, tensor in group(arrays, "best").items()}
        places = range(len(list(state.network.parameters())))
        moments = {place: found for place in places if (found := group(arrays, f"optimiser {place}"))}
        torch.set_rng_state(torch.from_numpy(arrays["dropout"]))
    state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": moments})
    state.generator.bit_generator.state = facts["generator"]
    state.epoch, watch.ended, best = facts["epoch"], facts["ended"], facts["best"]
    watch.curves = Curves({name: [(number, value) for number, value in one] for name, one in facts["curves"].items()})
    watch.best = None if best is None else Epoch(best["number"], Quality(**best["quality"]), best["loss"])


def named(prefix: str, tensors: dict[str, torch.Tensor]) -> Arrays:
    """Tensors as arrays under names of their own."""
    return {f"{prefix}/{name}": tensor.cpu().numpy() for name, tensor in tensors.items()}


def group(arrays: Any, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors under a prefix."""
    names = [name for name in arrays.files if name.startswith(f"{prefix}/")]
    return {name.removeprefix(f"{prefix}/"): torch.from_numpy(arrays[name]) for name in names}
