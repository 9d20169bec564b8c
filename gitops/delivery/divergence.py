"""What is live differs from git though git did not change: F35, or a hand at the console. What then, is policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, deployment, ledger
from gitops.delivery.order import Order, Site
from gitops.deployment import VARIANT, Release
from gitops.errors import GitopsError
from gitops.hosts import Change, Host


@dataclass(frozen=True)
class Live:
    """What an endpoint's main variant serves, by its config and model."""

    config: Mapping[str, Any]
    model: Mapping[str, Any]  # DescribeModel's answer

    @property
    def environment(self) -> Mapping[str, str]:
        return dict(self.model.get("PrimaryContainer", {}).get("Environment", {}))

    @property
    def release_id(self) -> str:
        """The release as the container was told; empty if it was told none."""
        run_id, name = self.environment.get("RUN_ID", ""), self.environment.get("MODEL_NAME", "")
        return ledger.release_id(name, run_id) if run_id and name else ""

    @property
    def version(self) -> int:
        """The package's version; 0 if the container was told none."""
        told = self.environment.get("MODEL_VERSION", "")
        return int(told) if told.isdigit() else 0


def live(sagemaker: Any, config: Mapping[str, Any]) -> Live:
    """What that endpoint config serves; a model that is gone, or is not ours, tells nothing."""
    variants = {variant["VariantName"]: variant for variant in config["ProductionVariants"]}
    main = variants.get(VARIANT) or config["ProductionVariants"][0]
    try:
        return Live(config, sagemaker.describe_model(ModelName=main["ModelName"]))
    except ClientError as error:
        if not aws.missing(error):
            raise
        return Live(config, {})


def propose(site: Site, order: Order, found: Live) -> None:
    """A request that writes what is live into git, once; GitopsError if git has no evidence of what it is."""
    head = site.host.head()
    release = _recorded(site.host, order, found.release_id, head)
    now = site.host.read(order.path, head)
    if release is None or now is None:
        what = found.release_id or "what this project never made"
        raise GitopsError(
            f"{order.spec.endpoint}: serves {what}, of which git has no record, so it cannot be proposed; "
            "policy drift: heal would put it right"
        )
    if release == order.desired.release:
        raise GitopsError(
            f"{order.spec.endpoint}: serves the release that git asks for, by the config "
            f"{found.config['EndpointConfigName']} that git does not; write into {order.path} what should stay"
        )
    branch = f"drift/{site.place.environment}/{release.id}"
    for left in site.host.find(branch):
        if left.state == "opened":
            site.say(f"{order.path}: {left.title} ({left.url}) is open")
            return
    edited = deployment.with_release(now, release, Path(order.path))
    title = f"Write into git what {site.place.environment} serves: {release.id} (version {release.version})"
    request = site.host.open(Change(branch, title, _body(order, release, found), {order.path: edited}), head)
    site.say(f"{order.path}: {request.title} ({request.url})")


def _recorded(host: Host, order: Order, identity: str, head: str) -> Release | None:
    """The release as its evidence on the branch describes it."""
    text = host.read(ledger.path(order.desired.model, identity), head) if identity else None
    return ledger.release(text, identity) if text is not None else None


def _body(order: Order, release: Release, found: Live) -> str:
    asked = order.desired.release
    return (
        f"**Somebody changed `{order.spec.endpoint}` outside git.** It serves `{release.id}` by the config "
        f"`{found.config['EndpointConfigName']}`; `{order.path}` asks for `{asked.id if asked else 'nothing'}`.\n\n"
        "Merging makes git say what is live, and trains nothing. Closing leaves it as it is; reconcile says so again. "
        "Instances, capture and a challenger are not part of this request: they stay as the file has them.\n"
    )
