"""Garbage collection on a real localcloud, and the rule that a referenced config never goes."""

import datetime as dt
from dataclasses import replace
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops import aws
from gitops.errors import GitopsError
from gitops.oncall import live
from gitops.oncall.catalogue import Config
from gitops.oncall.collect import Collector, References, sweep
from gitops.oncall.teardown import checked, delete, mark
from tests.gitops.candidates import candidate
from tests.gitops.host import RepositoryHost
from tests.gitops.site import Site

OLD, NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


@pytest.fixture
def site(localcloud, tmp_path):
    found = Site(localcloud, tmp_path / "clone")
    yield found
    found.clean()


def collect(site: Site, act: bool = True, **more):
    collector = Collector(site.sagemaker, site.slot.root, site.name, ("staging", "production"), site.said.append)
    return collector.run(act, **({"keep": 1, "hours": 0.0} | more))


def names(site: Site) -> tuple[set[str], set[str]]:
    configs = site.sagemaker.list_endpoint_configs(NameContains=f"{site.name}-", MaxResults=100)["EndpointConfigs"]
    models = site.sagemaker.list_models(NameContains=f"{site.name}-", MaxResults=100)["Models"]
    return {one["EndpointConfigName"] for one in configs}, {one["ModelName"] for one in models}


def test_what_no_endpoint_and_no_recent_release_names_is_deleted_and_nothing_else(site):
    configs = [site.deploy(site.registry.release()).config for _ in range(4)]
    assert names(site)[0] == set(configs)
    found = collect(site, act=False)
    assert set(found.configs) == set(configs[:2])
    assert names(site)[0] == set(configs)
    assert site.said[-1] == "2 endpoint config(s) and 2 model(s) are referenced by nothing; --yes deletes them"
    collect(site)
    left, models = names(site)
    assert left == set(configs[2:])
    assert len(models) == 2
    assert collect(site).configs == ()
    assert site.observe().status == "InService"


def test_what_is_young_stays(site):
    for _ in range(3):
        site.deploy(site.registry.release())
    assert (collect(site, hours=24.0).configs, collect(site, hours=24.0).models) == ((), ())
    assert len(names(site)[0]) == 3


class TwoDaysOn:
    """SageMaker, whose clock says the day after tomorrow; this machine's does not."""

    def __init__(self, sagemaker) -> None:
        self.sagemaker = sagemaker

    def __getattr__(self, name: str):
        return getattr(self.sagemaker, name)

    def list_endpoint_configs(self, **request):
        found = self.sagemaker.list_endpoint_configs(**request)
        later = aws.answered(found) + dt.timedelta(days=2)
        found["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(later, usegmt=True)
        return found


def test_how_old_something_is_aws_decides_and_never_this_machines_clock(site):
    """A clock that is two days fast would take what a deploy build has just made."""
    for _ in range(3):
        site.deploy(site.registry.release())
    site.sagemaker = TwoDaysOn(site.sagemaker)
    assert len(collect(site, act=False, hours=24.0).configs) == 1


def test_f11_what_a_killed_deploy_build_left_is_no_orphan_after_collect(site):
    """A model and config made by a build that was killed before its update go when nothing asks for them any more."""
    kept = site.deploy(site.registry.release()).config
    site.commit(site.registry.release())
    orphan = site.spec()
    site.ensure(orphan)  # and here the build is killed
    site.repository.git("revert", "--no-edit", "HEAD")
    other = site.registry.release()
    site.commit(other)  # git has moved on, with another release between
    second = site.registry.release()
    site.commit(second)
    collect(site)
    assert names(site)[0] == {kept}
    assert orphan.models[0]["ModelName"] not in names(site)[1]


def test_what_comes_to_serve_while_it_is_being_deleted_stays(site):
    first = site.deploy(site.registry.release()).config
    for _ in range(3):
        site.deploy(site.registry.release())
    client = Meanwhile(site, first)
    Collector(client, site.slot.root, site.name, ("staging",), site.said.append).run(True, 1, 0.0)
    assert any(f"keep    {first}: {site.endpoint} has come to serve it" in line for line in site.said)
    assert first in names(site)[0]


class Meanwhile:
    """SageMaker, where someone moves the endpoint back once the references have been read."""

    def __init__(self, site: Site, config: str) -> None:
        self.site, self.config, self.asked = site, config, 0

    def __getattr__(self, name: str):
        return getattr(self.site.sagemaker, name)

    def describe_endpoint(self, **request):
        self.asked += 1
        if self.asked == 2:
            self.site.sagemaker.update_endpoint(EndpointName=request["EndpointName"], EndpointConfigName=self.config)
            live.wait(self.site.sagemaker, self.site.endpoint, self.site.said.append)
        return self.site.sagemaker.describe_endpoint(**request)


def config(number: int, archive: int) -> Config:
    served = (f"s3://bucket/{archive}", "image@sha256:" + "0" * 64)
    return Config(f"p-ncf-{number}", OLD, (f"p-model-{number % 3}",), frozenset({served}), served)


CONFIGS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), unique_by=lambda pair: pair[0], max_size=8)


@settings(deadline=None)
@given(CONFIGS, st.sets(st.integers(0, 9)), st.sets(st.integers(0, 4)))
def test_f43_a_referenced_config_never_goes_and_neither_does_a_model_it_uses(pairs, serving, released):
    """No config that an endpoint serves or git names is ever collected, nor a model of such a config."""
    configs = [config(*pair) for pair in pairs]
    release = candidate(1).release
    image = "image@sha256:" + "0" * 64
    named = [release.model_copy(update={"archive_uri": f"s3://bucket/{one}", "image": image}) for one in released]
    needed = References({f"p-ncf-{number}": "endpoint" for number in serving}, named, NOW)
    found = sweep(configs, {f"p-model-{number}": OLD for number in range(3)}, needed)
    kept = [
        one for one, (number, archive) in zip(configs, pairs, strict=True) if number in serving or archive in released
    ]
    assert not {one.name for one in kept} & set(found.configs)
    assert not {model for one in kept for model in one.models} & set(found.models)
    assert set(found.configs) == {one.name for one in configs} - {one.name for one in kept}
    assert sweep([replace(one, created=NOW) for one in configs], {}, needed).configs == ()


def test_an_endpoint_ends_in_two_steps_and_only_by_its_name(site):
    site.deploy(site.registry.release())
    host, name = RepositoryHost(site.repository), site.endpoint
    with pytest.raises(GitopsError, match="still asks for"):
        delete(host, site.sagemaker, site.slot, name, site.said.append)
    mark(host, site.slot, name, site.said.append)
    mark(host, site.slot, name, site.said.append)
    (request,) = host.every
    assert host.changed_by(request) == [site.slot.path]
    assert site.said[-1] == f"when it is merged: python -m gitops teardown staging ncf --delete {name}"
    assert site.observe().status == "InService"
    host.merge(request)
    mark(host, site.slot, name, site.said.append)
    assert len(host.every) == 1
    with pytest.raises(GitopsError, match=f"that is {name}"):
        checked(name + "2", site.name, site.slot)
    delete(host, site.sagemaker, site.slot, checked(name, site.name, site.slot), site.said.append)
    assert site.observe() is None
    delete(host, site.sagemaker, site.slot, name, site.said.append)
    assert site.said[-1] == f"{name}: is not there; nothing to delete"
