from gitops import ledger


def test_a_record_lies_under_its_models_name_and_its_runs_digest():
    identity = ledger.release_id("ncf", "9c41d2e7a0b1" + "f" * 52)
    assert ledger.path("ncf", identity) == "releases/ncf/ncf-9c41d2e7a0b1.json"


def test_equal_records_are_equal_files():
    assert ledger.render({"a": 1, "b": "ü"}) == ledger.render({"b": "ü", "a": 1}) == '{\n  "a": 1,\n  "b": "ü"\n}\n'


def test_only_what_was_there_before_breaks_the_append_only_rule():
    before = ["releases/ncf/a.json", "docs/a.md"]
    assert ledger.rewritten(["releases/ncf/a.json", "releases/ncf/b.json", "docs/a.md"], before) == before[:1]
