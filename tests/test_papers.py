"""Every paper that discovery finds: verdicts as its card expects, checks that can fail, figures that can be drawn.

Seeds are fixed by the claims' ids, so nothing here is flaky. On fresh seeds some true statistical claim would be
refuted with probability at most 1 % over a whole run, and some false one accepted with at most 5 % (VERIFICATION
2.11).
"""

import pytest

from mdplab.claims import Verdict, discovery
from mdplab.claims.runner import run_claims, with_true_algorithm
from mdplab.report.figures import draw
from mdplab.report.produce import compute_figure

KEYS = sorted(discovery.sources())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("papers") / "store.sqlite"


@pytest.mark.parametrize("key", KEYS)
def test_verdicts_are_what_the_card_expects(key, store):
    run = run_claims([key], workers=2, store=store)
    surprises = {r.id: (str(r.verdict), str(r.expected), r.slack, r.reason) for r in run.results if not r.as_expected}
    assert surprises == {}
    assert all(all(result.kill_matrix.values()) for result in run.results)


@pytest.mark.parametrize("key", KEYS)
def test_a_falsifier_turned_true_is_an_invalid_check(key, store):
    for claim_id in discovery.entries([key]):
        for name, result in with_true_algorithm(claim_id, store=store).items():
            assert result.verdict == Verdict.INVALID_CHECK, f"{claim_id}: {name}"
            assert not result.as_expected and name in result.reason


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, paper in discovery.papers().items() for name in paper.card.figures]
)
def test_figures_can_be_drawn(key, name):
    paper = discovery.load_paper(key)
    card = paper.card.figures[name]
    columns = compute_figure(paper, name, "quick")
    custom = getattr(paper.module, f"draw_{name}", None)
    picture = draw(columns, name=name, kind=card.kind, labels=card.labels, custom=custom)
    assert "<svg" in picture
    unknown = set(card.labels) - set(columns)
    assert unknown == set(), "the card labels columns that the figure does not have"


def test_every_paper_has_a_sharp_claim():
    sharp = {"IDENTITY", "WITNESS", "CERTIFICATE"}
    for key, paper in discovery.papers().items():
        rules = {claim.relation.rule for claim in paper.claims.values()}
        tight = [card for card in paper.card.claims.values() if (band := card.band("quick")) and band[0] > 0.5]
        assert rules & sharp or tight, f"{key} has no claim where a wrong implementation shows"


def test_every_relation_is_used():
    import mdplab.claims as claims

    used = {type(claim.relation) for paper in discovery.papers().values() for claim in paper.claims.values()}
    every = {value for value in vars(claims).values() if isinstance(value, type) and issubclass(value, claims.Relation)}
    assert every - {claims.Relation} <= used
