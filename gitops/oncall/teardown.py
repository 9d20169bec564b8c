"""The end of an endpoint, in two steps: python -m gitops teardown staging ncf [--delete <endpoint's name>]

First step: a merge request that sets `release: null`, which by itself deletes nothing. Second step, when it is merged:
the same command with the endpoint's name typed out deletes the endpoint. Its configs and models stay for `collect`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitops import aws, deployment, specs
from gitops.errors import GitopsError
from gitops.hosts import Host
from gitops.oncall.live import observe, wait
from gitops.oncall.rollback import Draft, Slot, ask

Say = Callable[[str], None]


def release(host: Host, slot: Slot) -> deployment.Release | None:
    """What the protected branch asks for now; GitopsError if it has no such file."""
    text = host.read(slot.path, host.head())
    if text is None:
        raise GitopsError(f"{slot.path}: is not on the branch; see deploy/ for the models of {slot.environment}")
    return deployment.load(Path(slot.path), text).release


def mark(host: Host, slot: Slot, endpoint: str, say: Say = print) -> None:
    """Step one: ask git for `release: null`; a person merges it, whatever the environment."""
    asked = release(host, slot)
    again = f"python -m gitops teardown {slot.environment} {slot.model} --delete {endpoint}"
    if asked is None:
        say(f"{slot.path}: asks for nothing; to delete the endpoint: {again}")
        return
    body = (
        f"**`{endpoint}` is to be deleted.** This sets `release: null` in `{slot.path}`, which by itself deletes "
        f"nothing. When it is merged, `{again}` deletes the endpoint. Reverting this merge before that takes it back.\n"
    )
    draft = Draft(
        branch=f"teardown/{slot.environment}/{slot.model}/{asked.id}",
        title=f"Tear down {slot.model} in {slot.environment}",
        body=body,
        release=None,
    )
    ask(host, slot, draft, automatic=False, say=say)
    say(f"when it is merged: {again}")


def delete(host: Host, sagemaker: Any, slot: Slot, endpoint: str, say: Say = print) -> None:
    """Step two: delete the endpoint; GitopsError while git still asks for a release."""
    asked = release(host, slot)
    if asked is not None:
        raise GitopsError(f"{slot.path}: still asks for {asked.id}; merge release: null, which teardown alone proposes")
    with aws.explained():
        live = observe(sagemaker, endpoint)
        if live is None:
            say(f"{endpoint}: is not there; nothing to delete")
            return
        say(f"{endpoint}: DeleteEndpoint; it is {live.status} with {live.config}")
        sagemaker.delete_endpoint(EndpointName=endpoint)
        wait(sagemaker, endpoint, say)


def checked(typed: str, project: str, slot: Slot) -> str:
    """The endpoint's name; GitopsError if another one was typed."""
    name = specs.endpoint_name(project, slot.model, slot.environment)
    if typed and typed != name:
        raise GitopsError(f"{typed}: is not the endpoint of {slot.path}; that is {name}")
    return name
