"""Storm's DRN files (direct encoding): Markov chains and decision processes with named rewards and labels."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mdplab.io.explicit import Explicit, Rewards, explicit_mdp, index, number
from mdplab.io.files import fail, read_text, write_whole
from mdplab.io.prism import initial_states, sparse_rows
from mdplab.models import MDP

_STATE = re.compile(r"state\s+(\S+)\s*(?:\[([^\]]*)\])?\s*(.*)")
_ACTION = re.compile(r"action\s+(\S+)\s*(?:\[([^\]]*)\])?\s*")
_SECTIONS = ("@parameters", "@placeholders", "@reward_models", "@nr_states", "@nr_choices", "@model")


def load_drn(path: Path, **choices: object) -> MDP:
    """Read a `.drn`; `choices` are those of `explicit_mdp`."""
    return explicit_mdp(_parse(path), **choices)


def _parse(path: Path) -> Explicit:
    lines = _stripped(read_text(path))
    header = _header(path, lines)
    S = header["@nr_states"]
    names = header["@reward_models"]
    rewards = {name: Rewards(np.zeros(S)) for name in names}
    labels: dict[str, list[int]] = {}
    source, choice, target, prob, places = [], [], [], [], []
    placeholders = header["@placeholders"]

    def value(line: int, text: str, what: str) -> float:
        return number(path, line, placeholders.get(text, text) if text.startswith("$") else text, what)

    def bracket(line: int, text: str | None) -> list[float]:
        if text is None or not text.strip():
            return [0.0] * len(names)
        values = [value(line, part.strip(), "reward") for part in text.split(",")]
        if len(values) != len(names):
            fail(path, line, f"{len(values)} rewards, expected {len(names)}: {', '.join(names) or 'none is declared'}")
        return values

    s, a, seen, line = -1, -1, np.zeros(S, dtype=bool), 0
    for line, text in lines:
        if not text:
            continue
        if text.startswith("state"):
            match = _STATE.fullmatch(text)
            if not match:
                fail(path, line, f"{text[:60]!r}, expected 'state NUMBER [rewards] labels'")
            s, a = index(path, line, match[1], "state", S), -1
            if seen[s]:
                fail(path, line, f"state {s} appears a second time")
            seen[s] = True
            for name, reward in zip(names, bracket(line, match[2])):
                rewards[name].state[s] = reward
            for label in re.findall(r'"[^"]*"|\S+', match[3]):
                labels.setdefault(label.strip('"'), []).append(s)
        elif text.startswith("action"):
            match = _ACTION.fullmatch(text)
            if s < 0 or not match:
                fail(path, line, f"{text[:60]!r}, expected 'action NAME [rewards]' within a state")
            a += 1
            if a and header["@type"] == "DTMC":
                fail(path, line, f"a second action in state {s} of a DTMC")
            for name, reward in zip(names, bracket(line, match[2])):
                if reward:
                    rewards[name].choice[s, a] = reward
        else:
            successor, colon, probability = text.partition(":")
            if s < 0 or not colon:
                fail(path, line, f"{text[:60]!r}, expected a state, an action or 'TARGET : PROBABILITY'")
            # A chain may leave out its only action.
            a = max(a, 0)
            source.append(s)
            choice.append(a)
            target.append(index(path, line, successor.strip(), "target state", S))
            prob.append(value(line, probability.strip(), "probability"))
            places.append(line)
    if not seen.all():
        fail(path, line or None, f"state {int(np.argmin(seen))} of {S} is missing: truncated?")
    integers = (np.array(column, dtype=np.int64) for column in (source, choice, target))
    model = Explicit(path, S, *integers, np.array(prob), places.__getitem__, labels, rewards)
    pairs = model.num_choices()
    if header["@nr_choices"] not in (None, pairs):
        fail(path, line, f"{pairs} choices, but @nr_choices promises {header['@nr_choices']}: truncated?")
    return model


def _stripped(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) without comments and surrounding blanks; empty lines stay, for sections that may be empty."""
    for line, content in enumerate(text.splitlines(), start=1):
        bare = content.partition("//")[0].strip()
        if bare or not content.strip():
            yield line, bare


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> dict:
    """Sections up to @model, whose line is the last one consumed."""
    found: dict = {"@type": None, "@nr_states": None, "@nr_choices": None, "@reward_models": [], "@placeholders": {}}
    section, line = "", 1
    for line, text in lines:
        if text == "@model":
            break
        if text.startswith("@type:"):
            found["@type"] = text.removeprefix("@type:").strip().upper()
            if found["@type"] not in ("DTMC", "MDP"):
                fail(path, line, f"type {found['@type']!r} is not read; expected DTMC or MDP")
        elif text.startswith("@value_type:"):
            kind = text.removeprefix("@value_type:").strip()
            if kind not in ("double", "rational"):
                fail(path, line, f"value type {kind!r} is not read; expected double or rational")
        elif text.startswith("@"):
            section = text
            if section not in _SECTIONS:
                fail(path, line, f"unknown section {section[:40]!r}; expected one of {', '.join(_SECTIONS)}")
        elif text:
            _entry(path, line, section, text, found)
    else:
        fail(path, line, "no @model section: truncated, or no DRN file")
    for key in ("@type", "@nr_states"):
        if found[key] is None:
            fail(path, line, f"no {key} section before @model")
    return found


def _entry(path: Path, line: int, section: str, text: str, found: dict) -> None:
    """One line of a header section."""
    if section == "@reward_models":
        found[section] += text.split()
    elif section in ("@nr_states", "@nr_choices"):
        found[section] = index(path, line, text, section)
        if found[section] == 0:
            fail(path, line, f"{section} is 0")
    elif section == "@placeholders":
        name, colon, expression = text.partition(":")
        if not colon or not name.startswith("$"):
            fail(path, line, f"{text[:60]!r}, expected '$name : number'")
        found[section][name.strip()] = expression.strip()
    elif section == "@parameters":
        fail(path, line, f"parametric models are not read (parameters {text[:60]})")
    else:
        fail(path, line, f"{text[:60]!r}, expected a section: @type: MDP, {', '.join(_SECTIONS)}")


def save_drn(mdp: MDP, path: Path) -> None:
    """Write a `.drn` with one reward structure, "reward", of choice rewards; see `mdplab.io.save`."""
    P, _ = sparse_rows(mdp)
    start = set(initial_states(mdp, path))
    kind = "DTMC" if mdp.A == 1 else "MDP"
    out = [f"@type: {kind}", "@parameters", "", "@reward_models", "reward", "@nr_states", f"{mdp.S}"]
    out += ["@nr_choices", f"{int(mdp.actions.sum())}", "@model"]
    for s in range(mdp.S):
        labels = ["init"] * (s in start) + ["terminal"] * bool(mdp.terminal[s])
        out.append(" ".join([f"state {s} [0]", *labels]))
        for a in np.flatnonzero(mdp.actions[s]).tolist():
            out.append(f"\taction {a} [{float(mdp.r[s, a])!r}]")
            pair = s * mdp.A + a
            for k in range(int(P.indptr[pair]), int(P.indptr[pair + 1])):
                if P.data[k]:
                    out.append(f"\t\t{P.indices[k]} : {float(P.data[k])!r}")
    text = "\n".join(out) + "\n"
    write_whole({path: lambda file: file.write(text.encode())})
