"""A real git repository with a project in it, for the tests of this folder."""

import os
import subprocess
from pathlib import Path

PROJECT = """project: film-recommender
owner: recsys-team
region: eu-west-1
git: {provider: gitlab, url: "https://gitlab.example.com", project: recsys/film-recommender, branch: main}
environments: [staging, production]
"""
DEPLOY = """# what {environment} serves
model: ncf
release: null  # nothing yet

# one instance
serving: {{mode: realtime, instance_type: ml.c6i.large, instances: 1}}
retry: 0
"""
PARAMS = """pipeline: ncf
data: params/ncf.data.yml
columns: {user: household_id, item: product_id, time: transaction_timestamp}
hyperparameters: {epochs: 10}
gate: {absolute: {"ndcg@10": {min: 0.02}}}
registry: {group: film-recommender-ncf}
"""
LOCK = """dataset: completejourney
reason: new-partition
partitions:
  - {key: "raw/completejourney/week=2017-40/part-0.parquet", sha256: "%s", bytes: 91823, rows: 24011}
""" % ("a" * 64)
FILES = {
    "project.yml": PROJECT,
    "params/ncf.yml": PARAMS,
    "params/ncf.data.yml": LOCK,
    "deploy/staging/ncf.yml": DEPLOY.format(environment="staging"),
    "deploy/production/ncf.yml": DEPLOY.format(environment="production"),
    "README.md": "# A project\n",
}


class Repository:
    """`git` in a directory of its own, deaf to the machine's configuration."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, strip: bool = True) -> str:
        who = {f"GIT_{role}_{key}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1", **who}
        said = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, check=True, capture_output=True
        ).stdout.decode()
        return said.strip() if strip else said

    def commit(self, files: dict[str, str | None]) -> str:
        """Write the files (None removes one), commit, and return the sha."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


def project(root: Path) -> Repository:
    """A repository whose first commit is a whole small project."""
    repository = Repository(root)
    repository.commit(dict(FILES))
    return repository
