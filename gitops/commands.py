"""Each command: arguments and settings in, exit code out. Imports wait until they are needed, so --help is quick."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gitops import oncall
from gitops.errors import GitopsError
from gitops.settings import Settings, required

if TYPE_CHECKING:
    from gitops.hosts import Host
    from pipelines.project import Project

Command = Callable[[argparse.Namespace, Settings], int]


def notify(arguments: argparse.Namespace, settings: Settings) -> int:
    """The push becomes an event, unless it is none of ours."""
    from gitops import aws, git
    from gitops import notify as notifying
    from pipelines import documents, models, project

    push = notifying.Push(arguments.branch, arguments.before, arguments.sha)
    if git.is_zero(push.sha):
        print(notifying.deleted(push))
        return 0
    # of that commit, not of the working tree: a bare repository has none
    text = git.show(git.commit(push.sha), project.FILE)
    if text is None:
        raise GitopsError(f"{project.FILE}: is not in commit {push.sha[:12]}; it names the branch to listen to")
    name = Path(project.FILE)
    team = models.parse(project.Project, name, documents.load(name, text.decode("utf-8", errors="replace")))
    ignored = notifying.ignored(push, team.git.branch)
    if ignored:
        print(ignored)
        return 0
    region = settings.region or team.region
    with aws.explained():
        target = notifying.Target(
            s3=aws.client("s3", region),
            events=aws.client("events", region),
            bucket=settings.bucket or _bucket(team, region),
            bus=settings.bus or team.project,
            project=team.project,
        )
        notifying.notify(push, target)
    return 0


def data(arguments: argparse.Namespace, settings: Settings) -> int:
    """Partitions are measured and locked."""
    from gitops import aws
    from gitops import data as locking
    from pipelines import project

    if not arguments.add and not arguments.from_manifest:
        raise GitopsError("data: nothing to add; give --add <s3 key> or --from-manifest <key or file>")
    params_file = Path(arguments.params)
    root = project.find_root(params_file)
    team = project.load(root)
    lock = locking.lock_path(params_file, root)
    region = settings.region or team.region
    with aws.explained():
        s3 = aws.client("s3", region)
        bucket = settings.bucket or _bucket(team, region)
        keys = [locking.bare(key, bucket) for key in arguments.add]
        if arguments.from_manifest:
            keys += locking.manifest(s3, bucket, arguments.from_manifest)
        found = [locking.measure(s3, bucket, key) for key in dict.fromkeys(keys)]
    words = {"dataset": arguments.dataset, "reason": arguments.reason}
    new, total = locking.add(lock, found, words)
    print(f"{lock}: {new} partitions added, {total} in all" if new else f"{lock}: all of them are locked already")
    return 0


def propose(arguments: argparse.Namespace, settings: Settings) -> int:
    """What the execution registered is proposed to each environment."""
    from gitops import aws, candidate
    from gitops import propose as proposing
    from pipelines import params, project

    root = Path.cwd()
    team = project.load(root)
    region = settings.region or team.region
    with aws.explained():
        sagemaker = aws.client("sagemaker", region)
        run = candidate.execution(sagemaker, arguments.execution)
        if run.status != "Succeeded":
            print(f"{run.arn}: is {run.status}; only what succeeded is proposed")
            return 0
        file = _params_file(root, team, run.pipeline)
        model, wanted = params.model_name(file), params.load(file)
        package = candidate.package(sagemaker, wanted.registry.group, run)
        if package is None:
            print(
                f"{run.run_id[:12]}: registered no new version (its archive was registered before); nothing to propose"
            )
            return 0
        found = candidate.candidate(aws.client("s3", region), model, run, package)
    policy = proposing.Policy(team.environments, dict(wanted.release))
    proposing.Proposer(_host(team, settings), policy, found).all()
    return 0


def _params_file(root: Path, team: "Project", pipeline: str) -> Path:
    """params/<model>.yml of the pipeline `<project>-<model>`."""
    for file in sorted((root / "params").glob("*.yml")):
        if not file.name.endswith(".data.yml") and f"{team.project}-{file.stem}" == pipeline:
            return file
    raise GitopsError(f"{pipeline}: no params/<model>.yml here makes this pipeline; is it another project's?")


def reconcile(arguments: argparse.Namespace, settings: Settings) -> int:
    """Every deploy file of the environment is made real."""
    from gitops import aws, specs
    from gitops import reconcile as reconciling
    from pipelines import project

    team = project.load(Path.cwd())
    if arguments.environment not in team.environments:
        known = ", ".join(team.environments)
        raise GitopsError(f"{arguments.environment}: is no environment of project.yml; it has {known}")
    region = settings.region or team.region
    role = required(settings.serving_role_arn, "SERVING_ROLE_ARN")
    with aws.explained():
        reconciler = reconciling.Reconciler(
            cloud=reconciling.Cloud(
                sagemaker=aws.client("sagemaker", region),
                runtime=aws.client("sagemaker-runtime", region),
                s3=aws.client("s3", region),
                client=lambda service: aws.client(service, region),
            ),
            host=_host(team, settings),
            place=specs.Place(team.project, arguments.environment, role),
            commit=required(settings.commit, "COMMIT"),
            root=Path.cwd(),
            seconds=arguments.wait_minutes * 60,
            lease_seconds=arguments.lease_seconds,
            who=settings.build,
        )
        failures = reconciler.all()
    for failure in failures:
        print(f"failed: {failure}")
    if failures:
        raise GitopsError(f"{len(failures)} of {arguments.environment}'s deploy files failed; each is explained above")
    return 0


def plan(arguments: argparse.Namespace, settings: Settings) -> int:
    """What a change would do; exit code 1 if something in it is wrong."""
    from gitops import plan as planning

    found = planning.plan(arguments.base, arguments.head)
    print(planning.render(found), end="")
    return 1 if found.problems else 0


def relock(arguments: argparse.Namespace, settings: Settings) -> int:
    """New partitions become a data lock's commit, by merge request; without arguments, of every model."""
    from gitops import aws
    from gitops import relock as relocking
    from pipelines import project

    root = Path.cwd()
    team = project.load(root)
    region = settings.region or team.region
    manifest = arguments.from_manifest or settings.manifest
    files = [Path(arguments.params)] if arguments.params else relocking.params_files(root, settings.manifest)
    with aws.explained():
        s3 = aws.client("s3", region)
        relocker = relocking.Relocker(_host(team, settings), s3, settings.bucket or _bucket(team, region))
        for file in files:
            relocker.relock(file, arguments.reason, manifest)
    return 0


def drift(arguments: argparse.Namespace, settings: Settings) -> int:
    """Captured requests beside the training data; with --propose, a data lock if they have drifted apart."""
    from dataclasses import asdict
    from datetime import UTC, datetime, timedelta

    from gitops import aws, deployment, monitor, specs
    from gitops import drift as drifting
    from gitops import relock as relocking
    from pipelines import params, project

    team = project.load(Path.cwd())
    file, region = Path(arguments.params), settings.region or team.region
    wanted, model = params.load(file), params.model_name(file)
    release = deployment.load(Path(f"deploy/{arguments.environment}/{model}.yml")).release
    if release is None:
        print(f"{arguments.environment}: {model} has no release, so there is nothing to compare with")
        return 0
    now, policy = datetime.now(UTC), wanted.refresh
    endpoint = specs.endpoint_name(team.project, model, arguments.environment)
    window = monitor.Window(endpoint, now - timedelta(hours=arguments.hours), now)
    limits = drifting.Limits(policy.max_psi, policy.max_unknown_users, policy.min_requests)
    with aws.explained():
        s3 = aws.client("s3", region)
        found = monitor.observe(s3, release, window, limits)
        print(json.dumps(asdict(found), indent=2) if arguments.json else drifting.markdown(found), end="")
        if arguments.propose and found.verdict == "drifted":
            order = relocking.Order(wanted.data, "drift", policy.automatic("drift"), drifting.markdown(found))
            bucket = settings.bucket or _bucket(team, region)
            relocker = relocking.Relocker(_host(team, settings), s3, bucket)
            relocker.propose(order, relocker.new_keys(relocker.locked(wanted.data)))
    return 0


def _bucket(team: "Project", region: str) -> str:
    """The bucket as infra names it: where nobody says, the account of the caller's identity decides."""
    from gitops import aws

    account = aws.client("sts", region).get_caller_identity()["Account"]
    return f"{team.project}-{account}-{region}"


def _host(team: "Project", settings: Settings) -> "Host":
    from gitops import hosts

    place = hosts.Place(settings.git_url or team.git.url, team.git.project, team.git.branch, settings.git_token)
    return hosts.connect(team.git.provider, place)


COMMANDS: dict[str, Command] = {
    "notify": notify,
    "data": data,
    "propose": propose,
    "reconcile": reconcile,
    "plan": plan,
    "relock": relock,
    "drift": drift,
    **oncall.COMMANDS,
}
