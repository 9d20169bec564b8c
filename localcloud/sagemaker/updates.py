"""UpdateEndpoint: another configuration for an endpoint, reached as its DeploymentConfig says."""

from typing import TYPE_CHECKING

from ..autoscaling import targets
from . import endpoint_configs, endpoints, guard, guardrails
from .deployment import STUCK, Deployment
from .fleet import Fleet
from .guardrails import PLAIN, Config
from .store import Row, invalid, lock

if TYPE_CHECKING:
    from ..cloud import Cloud

LAST = "LastDeploymentConfig"


def update_endpoint(cloud: "Cloud", request: Row) -> Row:
    """Accept another configuration; the endpoint is Updating until all its traffic is there, or back."""
    asked = _asked(cloud, request)
    guard.require(cloud, guardrails.alarms(asked or {}))  # without the lock: that is a request of its own
    with lock(cloud):
        endpoint, serving = endpoints.changeable(cloud, request["EndpointName"], STUCK)
        config = _retained(endpoint_configs.find(cloud, request["EndpointConfigName"]), serving, request)
        _refuse_scaled(cloud, endpoint.name, serving.config, config)
        policy = _policy(asked or PLAIN, serving.config, config) if endpoint.shifted is None else PLAIN
        deployment = Deployment(cloud, endpoint, serving, config, policy)
        endpoint.configs.add(config["EndpointConfigName"])
        endpoint.row.pop("FailureReason", None)
        endpoint.pending = deployment.summary
        members = {LAST: policy} if asked else {}
        endpoints.change(cloud, endpoint, EndpointStatus="Updating", **members)
    cloud.spawn(deployment.run, f"endpoint {endpoint.name}")
    return {"EndpointArn": endpoint.arn}


def _asked(cloud: "Cloud", request: Row) -> Config | None:
    """The request's DeploymentConfig, or the last one if that is to be retained; None without either."""
    given: Config | None = request.get("DeploymentConfig")
    if not request.get("RetainDeploymentConfig"):
        return given
    if given:
        raise invalid("DeploymentConfig and RetainDeploymentConfig cannot be specified together.")
    with lock(cloud):
        last: Config | None = endpoints.find(cloud, request["EndpointName"]).row.get(LAST)
    return last


def _refuse_scaled(cloud: "Cloud", name: str, old: Row, new: Row) -> None:
    """What is scaled automatically keeps its instance type, and stays."""
    before, after = (
        {row["VariantName"]: row["InstanceType"] for row in one["ProductionVariants"]} for one in (old, new)
    )
    scaled = targets.registered(cloud, name, before, after)
    if scaled:
        raise invalid(
            f'The variant(s) "{", ".join(scaled)}" must be deregistered as a scalable target with AWS Auto Scaling '
            "before they can be removed or have their instance type modified."
        )


def _policy(asked: Config, old: Row, new: Row) -> Config:
    """What is carried out of the DeploymentConfig that was asked for."""
    refusal = guardrails.problem(asked, sum(row["InitialInstanceCount"] for row in new["ProductionVariants"]))
    if refusal:
        raise invalid(refusal)
    return guardrails.effective(asked, old, new)


def _retained(config: Row, serving: Fleet, request: Row) -> Row:
    """The configuration with the weights and counts that its variants have now, as far as they are to be retained."""
    if not request.get("RetainAllVariantProperties"):
        return config
    excluded = {row["VariantPropertyType"] for row in request.get("ExcludeRetainedVariantProperties", [])}
    kept = {
        variant.name: {
            **({} if "DesiredInstanceCount" in excluded else {"InitialInstanceCount": variant.desired_count}),
            **({} if "DesiredWeight" in excluded else {"InitialVariantWeight": variant.desired_weight}),
        }
        for variant in serving.all_variants
    }
    members = (endpoint_configs.PRODUCTION, endpoint_configs.SHADOW)
    groups = {
        member: [{**row, **kept.get(row["VariantName"], {})} for row in config.get(member, [])] for member in members
    }
    return {**config, **{member: rows for member, rows in groups.items() if rows}}


OPERATIONS = {"UpdateEndpoint": update_endpoint}
