"""Storm's DRN files: what is read, and every malformed file by file and line. Round trips: test_prism.py."""

import pytest

from mdplab.io import load

MODEL = """\
// Exported by storm
// Original model type: MDP
@type: MDP
@value_type: double
@parameters

@placeholders
$half : 1/2
@reward_models
time coins
@nr_states
3
@nr_choices
4
@model
state 0 [1, 0] init
//[x=0]
\taction left [0, 2]
\t\t1 : $half
\t\t2 : 0.5
\taction right
\t\t0 : 0.25
\t\t1 : 3/4
state 1 [0, 0] done "two words"
\taction 0 [0, 0]
\t\t1 : 1
state 2
\taction 0
\t\t2 : 1
"""


def changed(old, new):
    assert old in MODEL
    return MODEL.replace(old, new)


def load_text(folder, text, **options):
    path = folder / "m.drn"
    path.write_text(text)
    return load(path, **options)


def test_a_decision_process_with_two_reward_structures(tmp_path):
    mdp = load_text(tmp_path, MODEL, rewards="coins", goal="done")
    assert (mdp.S, mdp.A, mdp.gamma) == (3, 2, 1.0)
    assert mdp.P[0].tolist() == [[0.0, 0.5, 0.5], [0.25, 0.75, 0.0]]
    assert mdp.r[0].tolist() == [2.0, 0.0]
    assert mdp.mu.tolist() == [1.0, 0.0, 0.0]
    assert mdp.actions.tolist() == [[True, True], [True, False], [True, False]]
    assert load_text(tmp_path, MODEL, rewards="time", goal="two words").r[0].tolist() == [1.0, 1.0]
    assert load_text(tmp_path, MODEL, rewards="reach", goal="done").r[0].tolist() == [0.5, 0.75]


def test_a_chain_may_leave_out_its_actions(tmp_path):
    header = "@type: DTMC\n@parameters\n\n@reward_models\nr\n@nr_states\n2\n@model\n"
    text = header + "state 0 [3] init\n\t1 : 1\nstate 1 [0]\n\t1 : 1\n"
    mdp = load_text(tmp_path, text)
    assert mdp.r.tolist() == [[3.0], [0.0]] and mdp.terminal.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the file is empty"),
        ("hello\n", ":1: 'hello', expected a section"),
        (changed("@type: MDP", "@type: CTMC"), ":3: type 'CTMC' is not read; expected DTMC or MDP"),
        (changed("@type: MDP\n", ""), ":14: no @type section"),
        (changed("@value_type: double", "@value_type: double-interval"), ":4: value type 'double-interval'"),
        (changed("@parameters\n\n", "@parameters\np q\n"), r":6: parametric models are not read \(parameters p q\)"),
        (changed("$half : 1/2", "half : 1/2"), r":8: 'half : 1/2', expected '\$name : number'"),
        (changed("$half : 1/2", "$half : p*q"), r":19: probability is 'p\*q'"),
        (changed("@nr_states\n3", "@nr_states\nthree"), ":12: @nr_states is 'three'"),
        (changed("@nr_states\n3", "@nr_states\n0"), ":12: @nr_states is 0"),
        (changed("@nr_states\n3", "@nr_states\n2"), ":20: target state is 2; the file has 2"),
        (changed("@nr_states\n3", "@nr_states\n4"), ":29: state 3 of 4 is missing: truncated"),
        (changed("@nr_states\n3\n", ""), ":13: no @nr_states section"),
        (changed("@nr_choices\n4", "@nr_choices\n5"), ":29: 4 choices, but @nr_choices promises 5"),
        (changed("@nr_choices", "@nr_actions"), ":13: unknown section '@nr_actions'"),
        (MODEL[: MODEL.index("@model")], ":14: no @model section: truncated"),
        (MODEL[: MODEL.index("state 1")], ":23: state 1 of 3 is missing: truncated"),
        (changed("state 1 ", "state 0 "), ":24: state 0 appears a second time"),
        (changed("state 1 ", "state one "), ":24: state is 'one'"),
        (changed("state 0 [1, 0]", "state 0 [1]"), ":16: 1 rewards, expected 2: time, coins"),
        (changed("state 0 [1, 0]", "state 0 [1, x]"), ":16: reward is 'x'"),
        (changed("left [0, 2]", "left [0, 2] more"), ":18: 'action left .*expected 'action NAME"),
        (changed("\t\t2 : 0.5\n", "\t\t2 0.5\n"), ":20: '2 0.5', expected a state, an action or 'TARGET"),
        (changed("\t\t2 : 0.5\n", "\t\t2 : half\n"), ":20: probability is 'half'"),
        (changed("\t\t2 : 0.5\n", "\t\t3 : 0.5\n"), ":20: target state is 3"),
        (changed("\t\t2 : 0.5\n", "\t\t2 : 0.4\n"), r":20: the probabilities of state 0, choice 0 sum to 0\.9"),
        (changed("\t\t2 : 0.5\n", "\t\t1 : 0.5\n"), ":20: a second transition"),
        (changed("\t\t2 : 1\n", ""), ": state 2 has no transition|:28: 3 choices, but"),
        (changed("@type: MDP", "@type: DTMC"), ":21: a second action in state 0 of a DTMC"),
        (changed("state 0 [1, 0] init\n", ""), ":17: 'action left .*within a state"),
    ],
)
def test_bad_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"m\.drn{message}") as caught:
        load_text(tmp_path, text, rewards="time", goal="done")
    assert "\n" not in str(caught.value)


def test_several_reward_structures_need_a_name(tmp_path):
    with pytest.raises(ValueError, match="several reward structures; choose one by rewards=NAME of 'time', 'coins'"):
        load_text(tmp_path, MODEL, goal="done")
    with pytest.raises(ValueError, match="unknown reward structure 'gold'; the file has 'time', 'coins'"):
        load_text(tmp_path, MODEL, goal="done", rewards="gold")
