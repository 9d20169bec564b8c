"""Who may import whom (docs/decisions/0001-shape.md)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "benchmarks": {"benchmarks"},
    "demo": {"demo", "gitops", "pipelines"},
    "gitops": {"gitops", "pipelines"},
    "pipelines": {"pipelines"},
    "infra": {"infra", "pipelines"},
    "localcloud": {"localcloud"},
    "processing_code": {"processing_code"},
    "training_code": {"training_code"},
    "serving_code": {"serving_code"},
    "api_code": {"api_code"},
    "hooks": {"hooks"},
}
OURS = set(MAY_IMPORT)


def imported(path: Path) -> set[str]:
    """Top-level names a module imports absolutely."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_folder_imports_only_those_below_it(folder: str):
    modules = list((ROOT / folder).rglob("*.py"))
    assert modules
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules
        for name in (imported(path) & OURS) - MAY_IMPORT[folder]
    }
    assert not wrong


def test_f56_nothing_loads_pickles_or_unsafe_yaml():
    banned = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
    modules = [path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py")]
    assert not {str(path) for path in modules if imported(path) & banned}
    found = {
        f"{path}:{node.lineno}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text()))
        if UNSAFE & named(node) or allows_pickle(node)
    }
    assert not found


UNSAFE = {"torch.load", "pandas.read_pickle", "pd.read_pickle"} | {
    f"yaml.{name}" for name in ("load", "load_all", "unsafe_load", "full_load", "Loader", "UnsafeLoader", "FullLoader")
}


def named(node: ast.AST) -> set[str]:
    """`yaml.load`, whether it is called by its module's name or imported from it."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {f"{node.value.id}.{node.attr}"}
    return {f"{node.module}.{alias.name}" for alias in node.names} if isinstance(node, ast.ImportFrom) else set()


def allows_pickle(node: ast.AST) -> bool:
    """numpy's own way to load one; False is the default, and anything but a plain False is too clever."""
    words = node.keywords if isinstance(node, ast.Call) else []
    return any(word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in words)


@pytest.mark.parametrize(
    "line",
    ["yaml.load(text)", "yaml.load(text, yaml.SafeLoader)", "from yaml import unsafe_load", "torch.load(file)",
     "np.load(file, allow_pickle=True)", "np.load(file, allow_pickle=given)"],
)  # fmt: skip
def test_a_line_that_would_load_a_pickle_is_found(line: str):
    assert any(UNSAFE & named(node) or allows_pickle(node) for node in ast.walk(ast.parse(line)))


def test_functions_import_only_what_lambda_has():
    lambdas = [*(ROOT / "api_code").glob("*.py"), *(ROOT / "infra" / "functions").glob("*.py")]
    for path in lambdas:
        assert imported(path) <= set(sys.stdlib_module_names) | {"boto3", "botocore"}, path


def test_the_standard_library_is_all_the_hooks_import():
    for path in (ROOT / "hooks").glob("*_gen_project.py"):
        assert imported(path) <= set(sys.stdlib_module_names)


def test_no_module_of_one_container_has_the_name_of_another_ones():
    """Each folder ships alone with flat imports; the tests import both in one process."""
    training, processing = (
        {path.stem for path in (ROOT / folder).glob("*.py")} for folder in ("training_code", "processing_code")
    )
    assert not training & processing
