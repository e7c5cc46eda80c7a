"""PRISM's explicit files: round trips, both dialects, rewards and labels, and every malformed file by file and line."""

import numpy as np
import pytest
from instances.exactly import optimum, policy_value
from instances.random_models import random_model
from numpy.testing import assert_allclose

from mdplab.instances import frozen_lake, restart_chain, riverswim
from mdplab.io import load, save
from mdplab.models import MDP

MODEL = """\
3 4 6
0 0 1 0.5 left
0 0 2 0.5 left
0 1 0 0.25
0 1 1 0.75
1 0 1 1
2 0 2 1
"""
LABELS = '0="init" 1="deadlock" 2="done"\n0: 0\n1: 2\n'
STATE_REWARDS = '# Reward structure "time"\n# State rewards\n3 1\n0 2.5\n'
TRANSITION_REWARDS = "3 4 2\n0 0 1 4\n0 1 1 1/2\n"


def write(folder, **texts):
    """A model `m` of the given files, by suffix; the path of its transitions."""
    for suffix, text in {"tra": MODEL, **texts}.items():
        if text is not None:
            (folder / f"m.{suffix}").write_text(text)
    return folder / "m.tra"


def test_a_decision_process_with_all_its_files(tmp_path):
    states = "(x,y)\n0:(0,true)\n1:(1,false)\n2:(1,true)\n"
    path = write(
        tmp_path, lab=LABELS, srew=STATE_REWARDS, trew='# Reward structure "time"\n' + TRANSITION_REWARDS, sta=states
    )
    mdp = load(path, goal="done")
    assert (mdp.S, mdp.A, mdp.gamma) == (3, 2, 1.0)
    assert mdp.states == ("(0,true)", "(1,false)", "(1,true)")
    assert mdp.actions.tolist() == [[True, True], [True, False], [True, False]]
    assert mdp.P[0].tolist() == [[0.0, 0.5, 0.5], [0.25, 0.75, 0.0]]
    assert mdp.r.tolist() == [[4.5, 2.875], [0.0, 0.0], [0.0, 0.0]]
    assert mdp.r_next[0].tolist() == [[0.0, 6.5, 2.5], [2.5, 3.0, 0.0]]
    assert mdp.mu.tolist() == [1.0, 0.0, 0.0]
    assert mdp.terminal.tolist() == [False, True, True]
    assert load(f"{path}?goal=done&minimise=true").r[0].tolist() == [-4.5, -2.875]


def test_without_rewards_the_question_is_reachability(tmp_path):
    mdp = load(write(tmp_path, lab=LABELS), goal="done")
    assert mdp.r[0].tolist() == [0.5, 0.75]
    # State 2 cannot reach the goal; state 0 stays with choice 1 and gets there at last: 3/4 / (1 - 1/4).
    assert optimum(mdp)[0].tolist() == [1.0, 0.0, 0.0]
    assert policy_value(mdp, np.zeros(3, int)).tolist() == [0.5, 0.0, 0.0]


def test_states_that_cannot_reach_the_goal_end(tmp_path):
    """States 2 and 3 go round for ever; so undiscounted solvers need not find out that they earn nothing."""
    cycle = "4 5 6\n0 0 1 0.5\n0 0 2 0.5\n0 1 0 1\n1 0 1 1\n2 0 3 1\n3 0 2 1\n"
    mdp = load(write(tmp_path, tra=cycle, lab=LABELS), goal="done")
    assert mdp.terminal.tolist() == [False, True, True, True]


def test_transitions_of_probability_zero_are_not_stored(tmp_path):
    S = 1100
    text = f"{S} {2 * S - 1}\n" + "".join(f"{s} {s} 1\n" + (f"{s} 0 0\n" if s else "") for s in range(S))
    mdp = load(write(tmp_path, tra=text, srew=f"{S} 0\n"), gamma=0.5)
    assert mdp.is_sparse and mdp.num_transitions == S
    assert mdp.terminal.all()


def test_reach_asks_for_a_probability_although_there_are_rewards(tmp_path):
    path = write(tmp_path, lab=LABELS, srew=STATE_REWARDS)
    assert load(path, goal="done", rewards="reach").r[0].tolist() == [0.5, 0.75]
    assert load(path, goal="done", rewards="time").r[0].tolist() == [2.5, 2.5]


def test_a_goal_that_is_left_again_is_made_terminal(tmp_path):
    loop = "2 3 3\n0 0 1 1\n1 0 0 1\n1 1 1 1\n"
    mdp = load(write(tmp_path, tra=loop, lab='0="init" 1="g"\n1: 1\n', srew="2 2\n0 3\n1 5\n"), goal="g")
    assert mdp.P[1].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert mdp.r.tolist() == [[3.0, 0.0], [0.0, 0.0]]
    assert mdp.mu is None


def test_discounted_models_need_no_goal(tmp_path):
    mdp = load(write(tmp_path, srew="3 1\n1 1\n"), gamma=0.5)
    assert_allclose(optimum(mdp)[0][1], 2.0, rtol=1e-14)  # 1 / (1 - 1/2), one dense solve


def test_a_chain_of_either_dialect(tmp_path):
    chain = "0 1 0.5\n0 2 0.5\n1 1 1\n2 2 1\n"
    prism = load(write(tmp_path, tra="3 4\n" + chain, lab=LABELS, trew="3 1\n0 1 4\n"), gamma=0.9)
    (tmp_path / "storm").mkdir()
    labels = "#DECLARATION\ninit done\n#END\n0 init\n1 done\n"
    storm = load(write(tmp_path / "storm", tra="DTMC\n" + chain, lab=labels, trew="0 1 4\n"), gamma=0.9)
    assert prism.A == 1
    assert prism.digest() == storm.digest()
    assert prism.r[0, 0] == 2.0


def test_storm_decision_process_with_rewards_without_headers(tmp_path):
    body = MODEL.split("\n", 1)[1].replace(" left", "")
    storm = load(write(tmp_path, tra="mdp\n" + body, srew="0 2.5\n", trew="0 0 1 4\n"), gamma=0.5, rewards="reward")
    assert storm.r[0].tolist() == [4.5, 2.5]


def test_several_reward_structures_are_chosen_by_name_or_number(tmp_path):
    path = write(tmp_path, srew1='# Reward structure: "a"\n3 1\n0 1\n', srew2="3 1\n0 2\n")
    for number in "12":
        (tmp_path / f"m.srew{number}").rename(tmp_path / f"m{number}.srew")
    assert load(path, gamma=0.5, rewards="a").r[0, 0] == 1.0
    assert load(path, gamma=0.5, rewards="2").r[0, 0] == 2.0
    with pytest.raises(ValueError, match="several reward structures; choose one by rewards=NAME of 'a', '2'"):
        load(path, gamma=0.5)


def test_order_blank_lines_and_comments_do_not_matter(tmp_path):
    header, *body = MODEL.strip().split("\n")
    first = load(write(tmp_path, srew="3 1\n0 1\n"), gamma=0.5)
    (tmp_path / "m.tra").write_text(f"# made by hand\n\n{header}\n" + "\r\n\n".join(reversed(body)))
    assert load(tmp_path / "m.tra", gamma=0.5).digest() == first.digest()


@pytest.mark.parametrize("suffix", [".tra", ".drn"])
@pytest.mark.parametrize("sparse", [False, True])
def test_round_trip(tmp_path, suffix, sparse):
    """Probabilities and rewards to the bit; unavailable actions move to the end, gamma is given again."""
    for seed in range(25):
        mdp = random_model(np.random.default_rng([61, seed]), sparse=sparse, kind="plain", by_next=False)
        actions = np.random.default_rng([62, seed]).random((mdp.S, mdp.A)) < 0.7
        actions[~actions.any(axis=1), 0] = True
        mdp = mdp.replace(actions=actions)
        path = tmp_path / f"{seed}{suffix}"
        save(mdp, path)
        back = load(path, gamma=mdp.gamma)
        dense = mdp.dense()
        for s in range(mdp.S):
            have = np.flatnonzero(actions[s])
            assert np.array_equal(back.P[s, : have.size], dense.P[s, have])
            assert np.array_equal(back.r[s, : have.size], dense.r[s, have])
            assert back.actions[s].sum() == have.size
        assert back.mu.tolist() == [1.0] + [0.0] * (mdp.S - 1)


def test_rewards_by_next_state_survive_in_prism_files(tmp_path):
    mdp = riverswim(version="strehl-littman")
    save(mdp, tmp_path / "m.tra")
    back = load(tmp_path / "m.tra", gamma=mdp.gamma)
    assert np.array_equal(back.r_next, mdp.r_next)
    assert back.digest() == mdp.digest()
    save(mdp, tmp_path / "m.drn")
    mean = load(tmp_path / "m.drn", gamma=mdp.gamma)
    assert mean.r_next is None and np.array_equal(mean.r, mdp.r)


@pytest.mark.parametrize("suffix", [".tra", ".drn"])
def test_names_starts_and_ends_are_written(tmp_path, suffix):
    mdp = frozen_lake().replace(states=[f"({i})" for i in range(16)])
    save(mdp, tmp_path / f"m{suffix}")
    back = load(tmp_path / f"m{suffix}", goal="terminal")
    assert np.array_equal(back.terminal, mdp.terminal)
    assert np.array_equal(back.P, mdp.P) and np.array_equal(back.mu, mdp.mu)
    assert back.states == (mdp.states if suffix == ".tra" else None)
    chain = restart_chain(5)
    save(chain, tmp_path / f"c{suffix}")
    assert np.array_equal(load(tmp_path / f"c{suffix}").P, chain.P)


@pytest.mark.parametrize("suffix", [".tra", ".drn"])
def test_an_initial_distribution_that_labels_cannot_say_is_refused(tmp_path, suffix):
    mdp = riverswim().replace(mu=[0.5, 0.25, 0.25, 0, 0, 0])
    with pytest.raises(ValueError, match="no initial distribution but a uniform one"):
        save(mdp, tmp_path / f"m{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_thousandth_of_a_billionth_is_kept(tmp_path):
    P = np.array([[[1e-300, 1 - 1e-16]], [[0.0, 1.0]]])
    save(MDP(P, [[1e-12], [0.0]], 0.5), tmp_path / "m.tra")
    assert np.array_equal(load(tmp_path / "m.tra", gamma=0.5).P, P)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.tra:1: the file is empty"),
        ("# only a comment\n", "m.tra:1: header is ''"),
        ("states 3\n", "m.tra:1: header is 'states 3', expected 'states transitions'"),
        ("ctmc\n0 0 1\n", "m.tra:1: header is 'ctmc'"),
        ("3 4 6 7\n", "m.tra:1: header is '3 4 6 7'"),
        ("0 0 0\n", "m.tra:1: the model has 0 states"),
        ("mdp\n", "m.tra:1: no transitions"),
        (MODEL.replace("0 1 0 0.25", "0 1 0"), "m.tra:4: 3 fields, expected 4: source state, choice"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 0.25 a b"), "m.tra:4: 6 fields"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 0.2s"), "m.tra:4: probability is '0.2s', expected a number"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 nan"), "m.tra:4: probability is 'nan', expected a finite"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 1/0"), "m.tra:4: probability is '1/0'"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 [0.1,0.3]"), "m.tra:4: probability is .*interval"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 -0.25"), "m.tra:4: probability is -0.25"),
        (MODEL.replace("0 1 0 0.25", "0 1 3 0.25"), r"m.tra:4: target state is 3; the file has 3, numbered 0\.\.2"),
        (MODEL.replace("0 1 0 0.25", "7 1 0 0.25"), "m.tra:4: source state is 7"),
        (MODEL.replace("0 1 0 0.25", "0 -1 0 0.25"), "m.tra:4: choice is '-1'"),
        (MODEL.replace("0 1 0 0.25", "0 1 0 0.26"), r"m.tra:5: the probabilities of state 0, choice 1 sum to 1\.01"),
        (MODEL.replace("0 1 0 0.25", "0 1 1 0.25"), "m.tra:5: a second transition from state 0, choice 1 to state 1"),
        (MODEL[:-8], "m.tra:6: 5 transitions, but the header promises 6: truncated"),
        (MODEL.replace("3 4 6", "3 5 6"), "m.tra:7: 4 choices, but the header promises 5"),
        (MODEL.replace("1 0 1 1", "2 1 2 1"), "m.tra: state 1 has no transition"),
        (MODEL.replace("1 0 1 1", "1 1 1 1"), "m.tra:6: state 1 has no choice 0, but choice 1"),
        (MODEL.replace("0 1 ", "0 2 "), "m.tra:4: state 0 has choice 2 but no choice 1"),
    ],
)
def test_bad_transitions(tmp_path, text, message):
    path = write(tmp_path, tra=text, lab=LABELS)
    with pytest.raises(ValueError, match=message) as caught:
        load(path, goal="done")
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.lab", "m.tra"]


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        ("lab", "init done\n0: 0\n", r"m.lab:1: header is 'init done'"),
        ("lab", '0="init"\n0 0\n', "m.lab:2: '0 0' has no colon"),
        ("lab", '0="init"\n9: 0\n', "m.lab:2: state is 9"),
        ("lab", '0="init"\n0: 5\n', "m.lab:2: label '5' is not declared"),
        ("lab", "#DECLARATION\ninit\n0 init\n", "m.lab:1: #DECLARATION without #END"),
        ("lab", "#DECLARATION\ninit\n#END\n0 start\n", "m.lab:4: label 'start' is not declared"),
        ("srew", "3 2\n0 1\n", "m.srew:1: header is '3 2', expected '3 1'.*truncated"),
        ("srew", "3 1\n0 x\n", "m.srew:2: reward is 'x'"),
        ("srew", "3 1\n3 1\n", "m.srew:2: state is 3"),
        ("srew", "3 1\n0 1 1\n", "m.srew:2: 3 fields, expected 2"),
        ("srew", "3\n", "m.srew:1: 1 fields, expected 2"),
        ("trew", "3 4 2\n0 0 1 4\n", "m.trew:1: header is '3 4 2', expected '3 4 1': truncated"),
        ("trew", "3 4 1\n0 0 0 4\n", "m.trew:2: a reward for the transition from state 0, choice 0 to 0, which"),
        ("trew", "3 4 1\n0 2 1 4\n", "m.trew:2: a reward for the transition from state 0, choice 2 to 1, which"),
        ("trew", "3 4 1\n0 0 1\n", "m.trew:2: 3 fields, expected 4"),
        ("trew", "3 4 1\n0 0 1 inf\n", "m.trew:2: reward is 'inf'"),
        ("sta", "x,y\n0:(0)\n", r"m.sta:1: header is 'x,y'"),
        ("sta", "(x)\n0 (0)\n", r"m.sta:2: '0 \(0\)' is no state"),
        ("sta", "(x)\n0:(0)\n1:(1)\n", "m.sta:3: state 2 is missing: truncated"),
        ("sta", "(x)\n5:(0)\n", "m.sta:2: state is 5"),
        ("lab", "", "m.lab:1: the file is empty"),
        ("srew", "", "m.srew:1: the file is empty"),
    ],
)
def test_bad_companions(tmp_path, suffix, text, message):
    path = write(tmp_path, **{suffix: text})
    with pytest.raises(ValueError, match=message) as caught:
        load(path, gamma=0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": "end"}, "unknown label 'end'; the file has init, deadlock, done"),
        ({}, "goal=LABEL is needed to ask for a probability; labels: init, deadlock, done"),
        ({"goal": "done", "rewards": "gold"}, "unknown reward structure 'gold'; the file has none"),
        ({"gamma": 2.0, "goal": "done"}, "gamma is 2"),
    ],
)
def test_bad_choices(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, lab=LABELS), **options)


def test_undiscounted_without_an_end_says_what_to_give(tmp_path):
    loop = "2 2\n0 1 1\n1 0 1\n"
    path = write(tmp_path, tra=loop, srew="2 1\n0 1\n", lab='0="init"\n0: 0\n')
    with pytest.raises(
        ValueError, match="no state of the file is terminal; give gamma below 1, a horizon, or goal=LABEL"
    ):
        load(path)
    assert load(path, horizon=3).horizon == 3


def test_binary_junk(tmp_path):
    path = tmp_path / "m.tra"
    path.write_bytes(b"3 4\n\xfe\xff\x00")
    with pytest.raises(ValueError, match=r"m\.tra:2: byte 4 is not UTF-8"):
        load(path)
