import os

import pytest

from gitops import git
from gitops.errors import GitopsError
from gitops.planning import trees
from tests.gitops.repository import Repository


@pytest.fixture
def repository(tmp_path, monkeypatch):
    found = Repository(tmp_path / "clone")
    monkeypatch.chdir(found.root)
    return found


def written(sha: str, folder, names=("params", "code")) -> dict[str, str]:
    folder.mkdir()
    trees.write(sha, folder, names)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_only_what_is_asked_for_is_written(repository, tmp_path):
    sha = repository.commit({"params/a.yml": "a\n", "code/b.py": "b", "docs/c.md": "c", "top.yml": "d", "e.yml": "e"})
    assert written(sha, tmp_path / "out", ("params", "code", "top.yml")) == {
        "params/a.yml": "a\n",
        "code/b.py": "b",
        "top.yml": "d",
    }


def test_an_executable_stays_one(repository, tmp_path):
    (repository.root / "code").mkdir()
    (repository.root / "code" / "run.sh").write_text("")
    (repository.root / "code" / "run.sh").chmod(0o755)
    written(repository.commit({"code/a.py": ""}), tmp_path / "out")
    assert os.access(tmp_path / "out" / "code" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "out" / "code" / "a.py", os.X_OK)


def test_f58_attributes_of_the_commit_hide_and_change_nothing(repository, tmp_path):
    """`git archive` would leave out what export-ignore names, so a change could hide itself from its plan."""
    attributes = "params/* export-ignore\ncode/* export-subst filter=evil\n"
    sha = repository.commit({".gitattributes": attributes, "params/a.yml": "a", "code/b.py": "$Format:%H$"})
    assert written(sha, tmp_path / "out") == {"params/a.yml": "a", "code/b.py": "$Format:%H$"}


def test_f58_links_are_left_out_and_named(repository, tmp_path):
    (repository.root / "params").mkdir()
    (repository.root / "params" / "a.yml").symlink_to("/etc/passwd")
    sha = repository.commit({"params/b.yml": "b"})
    (tmp_path / "out").mkdir()
    left = trees.write(sha, tmp_path / "out", ["params"])
    assert left == ["params/a.yml: is a link or a submodule; only regular files are read"]
    assert [path.name for path in (tmp_path / "out" / "params").iterdir()] == ["b.yml"]


def test_f58_a_tree_whose_names_climb_writes_nothing_outside(repository, tmp_path):
    blob = git.run("hash-object", "-w", "--stdin", given=b"evil").decode().strip()
    inner = git.run("hash-object", "-t", "tree", "-w", "--stdin", "--literally", given=_tree(b"100644 x.yml", blob))
    outer = git.run(
        "hash-object", "-t", "tree", "-w", "--stdin", "--literally", given=_tree(b"40000 ..", inner.decode().strip())
    )
    top = git.run(
        "hash-object",
        "-t",
        "tree",
        "-w",
        "--stdin",
        "--literally",
        given=_tree(b"40000 params", outer.decode().strip()),
    )
    (tmp_path / "out").mkdir()
    left = trees.write(top.decode().strip(), tmp_path / "out", ["params"])
    assert list((tmp_path / "out").rglob("*")) == []
    assert len(left) == 1


@pytest.mark.parametrize("name", [b"x" * 256 + b".yml", b"\xff.yml", b"/".join([b"y" * 250] * 5)])
def test_f58_a_name_that_no_disk_takes_is_left_out_and_named(repository, tmp_path, name):
    sha = repository.commit({"params/a.yml": "a"})
    blob = git.run("rev-parse", f"{sha}:params/a.yml").strip()
    git.run("update-index", "-z", "--index-info", given=b"100644 %s\tparams/%s\0" % (blob, name))
    sha = repository.git("commit-tree", "-m", "evil", repository.git("write-tree"))
    (tmp_path / "out").mkdir()
    (problem,) = trees.write(sha, tmp_path / "out", ["params"])
    assert problem.endswith("its name is too long, no UTF-8 or leads elsewhere; rename it")
    assert [path.name for path in (tmp_path / "out/params").iterdir()] == ["a.yml"]


def test_f58_a_name_that_is_a_file_and_a_folder_is_no_mistake_of_this_program(repository, tmp_path):
    blob = git.run("hash-object", "-w", "--stdin", given=b"evil").decode().strip()
    inner = git.run("hash-object", "-t", "tree", "-w", "--stdin", given=_tree(b"100644 x.yml", blob)).decode().strip()
    both = _tree(b"100644 params", blob) + _tree(b"40000 params", inner)
    top = git.run("hash-object", "-t", "tree", "-w", "--stdin", "--literally", given=both).decode().strip()
    (tmp_path / "out").mkdir()
    with pytest.raises(GitopsError, match="cannot be written"):
        trees.write(top, tmp_path / "out", ["params"])


def _tree(entry: bytes, identity: str) -> bytes:
    return entry + b"\0" + bytes.fromhex(identity)


def test_a_tree_that_would_fill_the_disk_is_refused(repository, tmp_path):
    sha = repository.commit({"params/a.yml": "a" * 100})
    with pytest.raises(GitopsError, match="too much to plan"):
        trees.write(sha, tmp_path / "out", ["params"], limit=99)
