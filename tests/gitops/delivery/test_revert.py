"""What was tried and is not good is asked back in git."""

import io
import json
import time
from dataclasses import replace

from gitops.clock import Clock
from gitops.errors import GitopsError
from tests.gitops.team import FILE, served


def test_f42_a_release_that_was_rolled_back_is_closed_and_asked_back_once(team, registry):
    good, sick = served(team, registry, "sick")
    before = (team.repository.git("show", f"HEAD~1:{FILE['staging']}") + "\n").encode()
    (failure,) = team.reconcile()
    assert "rolled back" in failure
    (request,) = team.host.every
    assert request.branch.startswith("revert/staging/ncf-")
    assert request.title == f"Revert ncf in staging to {good.id} (version {good.version})"
    assert team.host.changed_by(request) == [FILE["staging"]]
    assert team.host.read(FILE["staging"], request.branch).encode() == before
    body = team.host.bodies[request.number]
    assert sick.id in body
    assert "rolled back" in body
    assert "| alarms | `none watched` |" in body
    team.reconcile()
    assert len(team.host.every) == 1
    team.host.merge(request)
    assert team.reconcile() == []
    assert team.serving(good)["version"] == str(good.version)


def test_f42_a_revert_that_a_person_turned_down_is_not_asked_again(team, registry):
    served(team, registry, "sick")
    team.reconcile()
    team.host.close(team.host.every[0], "no")
    team.reconcile()
    assert [request.state for request in team.host.every] == ["closed"]


def test_f42_where_policy_says_so_the_revert_merges_itself(team, registry):
    good, _ = served(team, registry, "wrong")
    team.policy("revert: auto\ndrift: report\n")  # the way back is no drift, though it was in service before
    (failure,) = team.reconcile()
    assert "golden requests fail" in failure
    assert [request.state for request in team.host.every] == ["merged"]
    assert team.reconcile() == []
    assert team.serving(good)["version"] == str(good.version)


def test_a_first_release_that_fails_has_nothing_to_go_back_to(team, registry):
    team.write(registry.release("wrong"))
    assert "golden requests fail" in team.reconcile()[0]
    assert team.host.every == []
    assert any("nothing to revert to" in line for line in team.said)


class Closed:
    """A git host whose token may only read."""

    def __init__(self, host) -> None:
        self.host = host

    def __getattr__(self, name):
        return getattr(self.host, name)

    def open(self, change, base):
        raise GitopsError("the git host answered 403: insufficient scope")


def test_a_git_host_that_takes_no_request_does_not_hide_why_one_is_needed(team, registry):
    served(team, registry, "wrong")
    (failure,) = replace(team.reconciler(), host=Closed(team.host)).all()
    assert "golden requests fail" in failure
    assert any("no revert request could be made: the git host answered 403" in line for line in team.said)


def test_f40_the_last_words_of_a_container_that_never_became_healthy_are_said(team, registry):
    good, _ = served(team, registry, "sick")
    said: list[str] = []
    deadline = time.monotonic() + 30
    while not said and time.monotonic() < deadline:  # CloudWatch has them a moment later
        assert "rolled back" in team.reconcile()[0]
        said = [line for line in team.said if "log: " in line]
    assert any("this image is sick" in line for line in said)
    assert team.serving(good)["version"] == str(good.version)


class Stopwatch:
    """The endpoint's runtime, and a clock that only its answers move: by `milliseconds`, a version's own number."""

    def __init__(self, runtime, milliseconds: dict[str, float]) -> None:
        self.runtime, self.milliseconds, self.seconds = runtime, milliseconds, 0.0
        self.clock = Clock(monotonic=lambda: self.seconds)

    def invoke_endpoint(self, **request):
        answer = self.runtime.invoke_endpoint(**request)
        body = answer["Body"].read()
        self.seconds += self.milliseconds[json.loads(body)["model"]["version"]] / 1000
        return {**answer, "Body": io.BytesIO(body)}


def test_f46_a_release_much_slower_than_the_champion_is_rejected(team, registry):
    releases = [registry.release() for _ in range(3)]
    milliseconds = dict(zip((str(each.version) for each in releases), (20.0, 55.0, 200.0), strict=True))
    watch = Stopwatch(team.clients.runtime, milliseconds)

    def deploy(release) -> list[str]:
        team.write(release, verify="{max_p99_ratio: 3}")
        cloud = replace(team.clients, runtime=watch)
        return replace(team.reconciler(), cloud=cloud, clock=watch.clock).all()

    assert deploy(releases[0]) == []
    assert deploy(releases[1]) == []
    assert any("p99 under load 55.0 ms, the champion's 20.0 ms" in line for line in team.said)
    (failure,) = deploy(releases[2])
    assert "p99 is 200.0 ms, the champion's 55.0 ms; verify allows 3 times that" in failure
    assert [request.state for request in team.host.every] == ["opened"]
    assert "200.0 ms" in deploy(releases[2])[0]  # what it is compared with is noted on the endpoint


def test_f46_a_challenger_is_compared_with_the_champion_beside_it(team, registry):
    champion, challenger = registry.release(), registry.release()
    watch = Stopwatch(team.clients.runtime, {str(champion.version): 20.0, str(challenger.version): 61.0})
    second = json.dumps({"release": challenger.model_dump(), "share": 0.5})
    team.write(champion, challenger=second, verify="{max_p99_ratio: 3}")
    cloud = replace(team.clients, runtime=watch)
    (failure,) = replace(team.reconciler(), cloud=cloud, clock=watch.clock).all()
    assert "p99 is 61.0 ms, the champion's 20.0 ms" in failure
