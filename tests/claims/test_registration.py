"""What the hashes see: sources at any depth, closures, parameters; and what they do not."""

from functools import partial
from pathlib import Path

from claims.toy import MODULE, write_paper

import mdplab
from mdplab.claims.discovery import entries, sources
from mdplab.claims.registration import (
    amendments,
    data_key,
    design,
    digest,
    function_digest,
    source_closure,
    sources_digest,
)

PACKAGE = Path(mdplab.__file__).parent


def keys(profile="quick"):
    entry = entries(["toy2000:rate"])["toy2000:rate"]
    return {(arm, i): data_key(entry, arm, i, profile) for arm in entry.claim.arms for i in range(2)}


def test_the_closure_has_what_computes_and_not_what_decides(tmp_path):
    paper = tmp_path / "paper.py"
    paper.write_text("def late():\n    from mdplab import solve\n\nfrom mdplab.claims import claim\n")
    closure = source_closure(paper)
    assert closure[""] == paper
    assert {"exact.__init__", "models.mdp", "kernels._jit"} <= set(closure)
    assert not {name for name in closure if name.startswith(("claims", "report", "cli", "certify"))}
    paper.write_text("import mdplab.models.solution\n")
    assert set(source_closure(paper)) == {"", "models.solution"}
    inner = PACKAGE / "kernels" / "_jit.py"
    assert set(source_closure(inner)) == {""}


def test_what_papers_share_is_no_paper_and_is_in_the_closure():
    assert "shared" not in sources()
    closure = source_closure(PACKAGE / "papers" / "sokota2023.py")
    assert {"papers.shared.games", "exact.games"} <= set(closure)
    assert not {name for name in closure if name.startswith("papers.") and name != "papers.shared.games"}


def test_keys_differ_by_arm_replicate_and_parameters(toy):
    assert len(set(keys().values()) | set(keys("full").values())) == 2 * len(keys())
    assert keys() == keys()


def test_an_edit_of_a_helper_changes_every_key(toy):
    before = keys()
    write_paper(toy, module=MODULE.replace("0.05 * rng", "0.06 * rng"))
    after = keys()
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_a_function_is_told_by_source_closure_and_arguments():
    def made(step):
        return lambda p, rng: step

    def outer(p, rng, scale=1):
        return scale

    different = [made(1), made(2), outer, partial(outer, scale=2), partial(outer, scale=3)]
    assert len({function_digest(function) for function in different}) == 5
    assert function_digest(made(1)) == function_digest(made(1))


def test_the_design_is_plain_and_has_all_that_is_fixed_beforehand(toy):
    entry = entries(["toy2000:rate"])["toy2000:rate"]
    fixed = design(entry, "quick")
    assert fixed["relation"] == {
        "rule": "RATE-G1",
        "exponent": 0.5,
        "margin": 0.05,
        "log_power": 0,
        "functional": "mean_log",
    }
    assert fixed["params"] == {"scale": 1.0, "pause": 0.0}
    assert fixed["replicates"] == 12
    assert fixed["sources"] == sources_digest(entry)
    assert set(fixed["arms"]) == {"main", "falsifier:slow", "control:faster"}
    assert digest(fixed) != digest(design(entry, "full"))


def test_amendments_name_what_appeared_changed_and_went():
    before = {"relation": {"margin": 0.05}, "arms": {"main": "a" * 64, "old": "b" * 64}, "statement": "x"}
    after = {"relation": {"margin": 0.1}, "arms": {"main": "c" * 64}, "statement": "x"}
    assert amendments(before, after) == [
        "arms.main: aaaaaaaa -> cccccccc",
        "arms.old: bbbbbbbb -> absent",
        "relation.margin: 0.05 -> 0.1",
    ]
    assert amendments(before, before) == []
