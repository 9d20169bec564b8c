"""Digests that name steps and runs: equal inputs, equal names, on every machine."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(content: Any) -> str:
    """JSON with one spelling. Raises ValueError for NaN and infinities, which have none."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(content: Any) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def step_key(arguments: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """A step's identity: what it is asked to do, and the keys of what it reads; never where it writes."""
    return digest({"arguments": dict(arguments), "inputs": dict(inputs)})


def run_id(definition: Mapping[str, Any], buildspec: bytes, nonce: int) -> str:
    """A run's identity. It names the execution and appears nowhere inside the definition."""
    build = hashlib.sha256(buildspec).hexdigest()
    return digest({"definition": digest(definition), "buildspec": build, "nonce": nonce})
