"""What was rejected is asked back: a merge request of one file, on branch revert/<environment>/<model>-<attempt>."""

from dataclasses import dataclass
from pathlib import Path

from gitops import deployment
from gitops.delivery.order import Order, Site
from gitops.errors import GitopsError
from gitops.hosts import Change, Host, Request
from gitops.markdown import cell
from pipelines import crash


@dataclass(frozen=True)
class Rejection:
    """Why what git asks for is not what serves, and where git asked for what does."""

    reason: str
    alarms: str  # what watched, in words
    good: str  # the commit at which the config that last proved itself was asked for


def restored(now: str, good: str, path: Path) -> str:
    """The file as it was at the good commit; where only the release differs, only that goes back. Pure."""
    before, after = deployment.load(path, good), deployment.load(path, now)
    least = deployment.with_release(now, before.release, path)
    kept = ("serving", "challenger", "shadow", "capture", "autoscaling")
    return least if all(getattr(before, key) == getattr(after, key) for key in kept) else good


def ask(site: Site, order: Order, rejection: Rejection, automatic: bool) -> Request | None:
    """Ask for the way back, once; merged where `automatic`. None where nobody has to be asked: the reason is said."""
    head = site.host.head()
    now = site.host.read(order.path, head)
    good = site.host.read(order.path, rejection.good) if rejection.good else None
    if now is None or good is None:
        site.say(f"{order.path}: nothing proved itself here before; there is nothing to revert to")
        return None
    edited = restored(now, good, Path(order.path))
    if edited == now:
        site.say(f"{order.path}: git asks for what proved itself before; there is nothing to revert")
        return None
    branch = f"revert/{site.place.environment}/{order.desired.model}-{order.spec.digest[:12]}"
    left = _left(site.host, branch, automatic)
    if left:
        site.say(f"{order.path}: {left.title} ({left.url}) is {left.state}")
        return left
    crash.point("revert:before-request")
    change = Change(branch, _title(site, order, edited), _body(order, rejection), {order.path: edited})
    request = site.host.open(change, head)
    site.say(f"{order.path}: {request.title} ({request.url})")
    crash.point("revert:after-request")
    if automatic:
        site.say(f"{order.path}: merged as {site.host.merge(request)[:12]}; its own build deploys that")
    return request


def _left(host: Host, branch: str, automatic: bool) -> Request | None:
    """The request that was made before, where it still says all there is to say."""
    states = {request.state: request for request in host.find(branch)}
    if "opened" in states and automatic:
        # only what is written here is merged unseen
        host.close(states["opened"], "Begun again from the branch's head.")
        return None
    return states.get("opened") or states.get("closed")  # a merged one was about an earlier try


def _title(site: Site, order: Order, edited: str) -> str:
    release = deployment.load(Path(order.path), edited).release
    to = f"to {release.id} (version {release.version})" if release else "to no release"
    return f"Revert {order.desired.model} in {site.place.environment} {to}"


def _body(order: Order, rejection: Rejection) -> str:
    gone = order.desired.release
    if gone is None:
        raise GitopsError(f"{order.path}: release is null, so nothing was rejected")
    return (
        f"**`{gone.id}` (version {gone.version}) was tried and is not good.** What proved itself before, at "
        f"`{rejection.good[:12]}`, is asked for again.\n\n"
        f"| | |\n|---|---|\n| reason | {cell(rejection.reason)} |\n| alarms | {cell(rejection.alarms)} |\n"
        f"| attempt | `{order.spec.digest[:12]}` |\n\n"
        "This attempt is closed: it is not made again until the file changes. Merging this trains nothing. To try the "
        f"same release again instead, close this and raise `retry` in `{order.path}`.\n"
    )
