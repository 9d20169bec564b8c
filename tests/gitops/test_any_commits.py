"""Commits nobody thought of beforehand: a seed makes the script, an oracle that shares no code predicts its work.

`python -m tests.gitops.test_any_commits 7 12` runs twelve commits of another seed; kinds behind it come first.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from demo.team import run
from demo.world import MODEL
from tests.gitops.loop import Script, raised
from tests.gitops.oracle import ENVIRONMENTS, POISON, Oracle, Outcome
from tests.gitops.scripts import BROKEN, KINDS, Author

pytestmark = pytest.mark.heavy
READ = ("params/", "deploy/", "buildspec.yml")  # whose texts the oracle reads; of others it knows whether they changed
PAIRS = (("other", "params"), ("production", "gate"), ("no difference", "other"))
SEED, COMMITS = 1, 10
FIRST = ("attributes", "instances", "rewrite", "two at once")  # what no seed should leave out


def tree(folder: Path, sha: str) -> dict[str, str]:
    """Every path of a commit with its text, or with its blob's name where nobody reads it."""
    lines = run(["git", "ls-tree", "-r", "--full-tree", sha], folder).splitlines()
    found = {path: facts.split()[2] for facts, _, path in (line.partition("\t") for line in lines)}
    return {
        path: run(["git", "cat-file", "blob", blob], folder) if path.startswith(READ) else blob
        for path, blob in found.items()
    }


class Walk:
    """One script of commits through the loop."""

    def __init__(self, script: Script, seed: int) -> None:
        self.script, self.dice = script, random.Random(seed)
        self.author = Author(script.world.team, self.dice)
        self.oracle = Oracle()
        self.broken = False
        self.head = self.author.team.git("rev-parse", "HEAD")
        self.tree = tree(script.clone, self.head)

    def choose(self) -> str:
        if self.broken:
            return "revert"
        kinds = [kind for kind in (*KINDS, "promote", "two at once") if kind != "revert" or self.author.mine]
        return self.dice.choice(kinds)

    def step(self, number: int, kind: str) -> None:
        """One commit, or two at once; then everything that the oracle predicts, and nothing else."""
        self.author.team.pull()
        predicted = Outcome()
        for one in self.dice.choice(PAIRS) if kind == "two at once" else (kind,):
            self.change(one)
            self.publish(one)
            before = self.tree
            self.add(predicted, self.moved())
            if self.tree == before:
                self.author.mine = []  # git reverts no commit of nothing
        self.broken = kind in BROKEN and bool(self.author.mine)
        what = f"{number} {kind} {self.head[:7]}"
        print(f"{what}: {predicted}", flush=True)
        seen = dict(self.script.builds)
        for project, results in predicted.builds.items():
            for place, result in enumerate(results, start=seen.get(project, 0) + 1):
                self.script.finished(what, project, place, result)
        self.answer(predicted)
        builds = {project.replace("-", "_"): " ".join(results) for project, results in predicted.builds.items()}
        self.script.expect(what, trainings=predicted.trainings, **predicted.deployments, **builds)

    def change(self, kind: str) -> None:
        if kind == "production":
            self.author.edit(f"deploy/production/{MODEL}.yml", lambda text: text + f"# {self.author.number()}\n")
        elif kind == "promote":
            self.promote()
        else:
            KINDS[kind](self.author)

    def promote(self) -> None:
        """The reviewer merges what is proposed for production; where nothing is, a commit of nothing."""
        requests = self.script.world.cloud.reviewer().mergerequests
        opened = [one for one in requests.list(state="opened", get_all=True) if one.title.startswith("Promote")]
        if opened and f"deploy/production/{MODEL}.yml" in self.tree:
            opened[0].approve()
            opened[0].merge()
            self.author.team.pull()

    def publish(self, kind: str) -> None:
        team = self.author.team
        if team.git("status", "--porcelain") or team.git("rev-parse", "HEAD") == self.head:
            self.author.commit(f"A commit: {kind}")
        team.git("push", "--quiet", *(["--force"] if self.author.forced else []), "origin", "HEAD:main")
        self.author.forced = False
        self.author.mine = [] if kind in {"empty", "promote", "rewrite"} else [team.git("rev-parse", "HEAD")]

    def moved(self) -> Outcome:
        """What the branch's new head should do."""
        before, self.head = self.tree, self.author.team.git("rev-parse", "HEAD")
        self.tree = tree(self.script.clone, self.head)
        return self.oracle.push(before, self.tree)

    def answer(self, predicted: Outcome) -> None:
        """What the bot merged of it: a release into staging and its record, or nothing."""
        before = self.tree
        self.author.team.pull()
        asked = self.asked("staging") if predicted.candidates else None
        if asked:
            self.oracle.released.add(asked["archive_sha256"])
        self.add(predicted, self.moved())
        changed = {path for path in before.keys() | self.tree.keys() if before.get(path) != self.tree.get(path)}
        kinds = {path.rpartition("/")[0] for path in changed}
        assert kinds == ({"deploy/staging", f"releases/{MODEL}"} if predicted.candidates else set()), changed
        if changed and self.author.mine:
            touched = self.author.team.git("diff", "--name-only", f"{self.author.mine[0]}^1", self.author.mine[0])
            self.author.mine = [] if "deploy/" in touched else self.author.mine

    def add(self, total: Outcome, more: Outcome) -> None:
        for project, results in more.builds.items():
            total.builds.setdefault(project, []).extend(results)
        total.trainings += more.trainings
        total.candidates += more.candidates
        for environment, count in more.deployments.items():
            total.deployments[environment] += count

    def asked(self, environment: str) -> dict | None:
        text = (self.script.clone / f"deploy/{environment}/{MODEL}.yml").read_text()
        return yaml.safe_load(text)["release"]

    def check_end(self) -> None:
        """The endpoints serve what git says, and what nobody calls would start from the branch's head."""
        for environment in ENVIRONMENTS:
            text = self.tree.get(f"deploy/{environment}/{MODEL}.yml", POISON)
            paused = "paused: true" in self.tree.get(f"deploy/{environment}/_policy.yml", "")
            if POISON not in text and not paused and self.asked(environment):
                assert self.script.served(environment) == self.asked(environment)["id"]
        cloud = self.script.world.cloud
        head = json.loads(cloud.client("s3").get_object(Bucket=cloud.bucket, Key="source/head.json")["Body"].read())
        assert head["sha"] == self.head


def walk(script: Script, seed: int, commits: int, *first: str) -> None:
    found, kinds = Walk(script, seed), ["params", "promote", *first]
    for number in range(1, commits + 1):
        kind = kinds.pop(0) if kinds else found.choose()
        found.step(number, kind)
    found.check_end()


def test_a_script_of_commits_that_nobody_wrote_ends_as_the_oracle_predicts(script: Script):
    walk(script, SEED, COMMITS, *FIRST)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, raised(Path(folder)) as found:
        walk(found, int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
