"""PRISM's explicit files: `.tra` with `.sta`, `.lab`, `.srew` and `.trew` beside it.

Read are Markov chains ("n m", then "i j x") and decision processes ("n c m", then "i k j x [action]"), and Storm's
variant of both, whose first line is the word dtmc or mdp instead of sizes and whose labels are declared between
#DECLARATION and #END. Several reward structures of one model are numbered `name1.srew`, `name2.srew`; a structure is
called by its name in the file's first comment line, else by that number.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.sparse as sp

from mdplab.io.explicit import Explicit, Rewards, explicit_mdp, index, number
from mdplab.io.files import fail, read_text, write_whole
from mdplab.models import MDP

_WORDS = {"dtmc": 3, "mdp": 4}


def load_prism(path: Path, **choices: object) -> MDP:
    """Read a `.tra` and what lies beside it; `choices` are those of `explicit_mdp`."""
    model = _transitions(path)
    if path.with_suffix(".sta").exists():
        model.names = _states(path.with_suffix(".sta"), model.S)
    if path.with_suffix(".lab").exists():
        model.labels = _labels(path.with_suffix(".lab"), model.S)
    for position, kind, file in _reward_files(path):
        name = _reward_name(file) or (str(position) if position else "reward")
        rewards = model.rewards.setdefault(name, Rewards(np.zeros(model.S)))
        if kind == ".srew":
            _state_rewards(file, model.S, rewards)
        else:
            _transition_rewards(file, model, rewards)
    return explicit_mdp(model, **choices)


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of every line that is neither blank nor a comment."""
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        fields = text.split()
        if fields and not fields[0].startswith("#"):
            yield line, fields


def _body(
    path: Path, header: int, names: list[str], sizes: list[int | None], spare: int = 0
) -> tuple[np.ndarray, Callable[[int], int]]:
    """The records after line `header` as a table, and the line of each row.

    All columns but the last are integers below their size, the last is a number; `spare` fields may follow. What is
    plain is read at once; line by line only what is not, to say where it is wrong.
    """
    width = len(names)
    table = _at_once(path, header, width)
    if table is not None and all(size is None or (table[:, i] < size).all() for i, size in enumerate(sizes)):

        def line_of(row: int) -> int:
            return next(islice((line for line, _ in _records(path) if line > header), row, None))

        return table, line_of
    rows, lines = [], []
    for line, fields in _records(path):
        if line <= header:
            continue
        if not width <= len(fields) <= width + spare:
            extra = ", and perhaps an action's name" if spare else ""
            fail(path, line, f"{len(fields)} fields, expected {width}: {', '.join(names)}{extra}")
        row = [index(path, line, *field) for field in zip(fields, names[:-1], sizes)]
        rows.append([*row, number(path, line, fields[width - 1], names[-1])])
        lines.append(line)
    return np.array(rows).reshape(-1, width), lines.__getitem__


def _at_once(path: Path, header: int, width: int) -> np.ndarray | None:
    """All lines after `header` as numbers (n, width); None if any is not plain."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = np.loadtxt(io.StringIO(read_text(path)), comments="#", skiprows=header, ndmin=2)
    except ValueError:
        return None
    if table.shape[1] != width or not np.isfinite(table).all():
        return None
    integers = table[:, :-1]
    return table if ((integers >= 0) & (integers == np.floor(integers)) & (integers < 2**53)).all() else None


def _transitions(path: Path) -> Explicit:
    line, header = next(_records(path), (1, []))
    word = header[0].lower() if header else ""
    if len(header) == 1 and word in _WORDS:
        width, declared = _WORDS[word], None
    elif len(header) in (2, 3) and all(field.isdigit() for field in header):
        width, declared = len(header) + 1, [int(field) for field in header]
        if declared[0] == 0:
            fail(path, line, "the model has 0 states")
    else:
        expected = "'states transitions' (a chain), 'states choices transitions' (a decision process), dtmc or mdp"
        fail(path, line, f"header is {' '.join(header)[:60]!r}, expected {expected}")
    S = declared[0] if declared else None
    names, sizes = _columns(width, S)
    table, line_of = _body(path, line, [*names, "probability"], sizes, spare=1)
    if declared and len(table) != declared[-1]:
        last = line_of(len(table) - 1) if len(table) else line
        fail(path, last, f"{len(table)} transitions, but the header promises {declared[-1]}: truncated?")
    if not len(table):
        fail(path, line, "no transitions")
    triples = _triples(table)
    S = int(triples[:, [0, 2]].max()) + 1 if S is None else S
    source, choice, target = (np.ascontiguousarray(column) for column in triples.T)
    model = Explicit(path, S, source, choice, target, table[:, -1].copy(), line_of, {}, {})
    if declared and width == 4 and model.num_choices() != declared[1]:
        message = f"{model.num_choices()} choices, but the header promises {declared[1]}"
        fail(path, line_of(len(table) - 1), message)
    return model


def _columns(width: int, S: int | None) -> tuple[list[str], list[int | None]]:
    """Names and sizes of the integer columns of transitions, with choices (width 4) or without."""
    if width == 4:
        return ["source state", "choice", "target state"], [S, None, S]
    return ["source state", "target state"], [S, S]


def _triples(table: np.ndarray) -> np.ndarray:
    """Source, choice and target (n, 3) of a table with choices or, with choice 0, without."""
    integers = table[:, :-1].astype(np.int64)
    return integers if integers.shape[1] == 3 else np.insert(integers, 1, 0, axis=1)


def _states(path: Path, S: int) -> list[str]:
    lines = [(line, text.strip()) for line, text in enumerate(read_text(path).splitlines(), 1) if text.strip()]
    if not re.fullmatch(r"\(.*\)", lines[0][1]):
        fail(path, lines[0][0], f"header is {lines[0][1][:60]!r}, expected the names of the variables: (x,y,...)")
    names = [""] * S
    for line, text in lines[1:]:
        match = re.fullmatch(r"(\d+):(.+)", text)
        if not match:
            fail(path, line, f"{text[:60]!r} is no state; expected 'i:(x1,...,xn)'")
        names[index(path, line, match[1], "state", S)] = match[2]
    if "" in names:
        fail(path, lines[-1][0], f"state {names.index('')} is missing: truncated?")
    return names


def _labels(path: Path, S: int) -> dict[str, list[int]]:
    lines = [(line, text.strip()) for line, text in enumerate(read_text(path).splitlines(), 1) if text.strip()]
    line, header = lines[0]
    if header == "#DECLARATION":
        stop = next((i for i, (_, text) in enumerate(lines) if text == "#END"), None)
        if stop is None:
            fail(path, line, "#DECLARATION without #END")
        names = {name: name for _, text in lines[1:stop] for name in text.split()}
        rest = [(line, *_split_labels(text)) for line, text in lines[stop + 1 :]]
    else:
        names = dict(re.findall(r'(\d+)="([^"]*)"', header))
        if re.sub(r'\s*\d+="[^"]*"', "", header):
            fail(path, line, f'header is {header[:60]!r}, expected labels such as 0="init" 1="goal"')
        rest = []
        for line, text in lines[1:]:
            state, colon, numbers = text.partition(":")
            if not colon:
                fail(path, line, f"{text[:60]!r} has no colon; expected 'state: label label ...'")
            rest.append((line, state.strip(), numbers.split()))
    labels: dict[str, list[int]] = {name: [] for name in names.values()}
    for line, state, keys in rest:
        s = index(path, line, state, "state", S)
        for key in keys:
            if key not in names:
                fail(path, line, f"label {key[:40]!r} is not declared; the file declares {', '.join(names)}")
            labels[names[key]].append(s)
    return labels


def _split_labels(text: str) -> tuple[str, list[str]]:
    first, *others = text.split()
    return first, others


def _reward_files(path: Path) -> Iterator[tuple[int, str, Path]]:
    """(number, suffix, file) of the reward files of a model, in order; number 0 where there is none."""
    found = []
    for file in path.parent.glob(f"{_escaped(path.stem)}*.[st]rew"):
        middle = file.stem[len(path.stem) :]
        if middle == "" or middle.isdigit():
            found.append((int(middle or 0), file.suffix, file))
    yield from sorted(found)


def _escaped(stem: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", stem)


def _reward_name(path: Path) -> str | None:
    for text in read_text(path).splitlines():
        match = re.match(r'#\s*Reward structure:?\s*"([^"]*)"', text)
        if match:
            return match[1]
    return None


def _state_rewards(path: Path, S: int, rewards: Rewards) -> None:
    records = _records(path)
    line, fields = next(records, (1, []))
    if not fields:
        return
    following = sum(1 for _ in records)
    header = 0
    if fields == [str(S), str(following)]:
        header = line
    elif len(fields) == 2 and fields[0].isdigit() and int(fields[0]) >= S:
        # Storm's files have no header; PRISM's repeats the number of states and says how many lines follow.
        expected = f"'{S} {following}' (states, rewards that follow)"
        fail(path, line, f"header is {' '.join(fields)!r}, expected {expected}: truncated, or of another model?")
    table, _ = _body(path, header, ["state", "reward"], [S])
    rewards.state[table[:, 0].astype(np.int64)] = table[:, 1]


def _transition_rewards(path: Path, model: Explicit, rewards: Rewards) -> None:
    records = _records(path)
    line, fields = next(records, (1, []))
    if not fields:
        return
    S, following = model.S, sum(1 for _ in records)
    chain = not model.choice.any()
    headers = [[str(S), str(model.num_choices()), str(following)]]
    if chain:
        headers.append([str(S), str(following)])
    header, width = 0, 4
    if fields in headers:
        header, width = line, len(fields) + 1
    elif len(fields) == 3 and chain:
        width = 3
        if fields[0].isdigit() and int(fields[0]) >= S:
            fail(path, line, f"header is {' '.join(fields)!r}, expected {' '.join(headers[-1])!r}: truncated?")
    elif len(fields) != 4:
        fail(path, line, f"header is {' '.join(fields)[:60]!r}, expected {' '.join(headers[0])!r}: truncated?")
    names, sizes = _columns(width, S)
    table, line_of = _body(path, header, [*names, "reward"], sizes)
    triples = _triples(table)
    known = model.keys(np.stack([model.source, model.choice, model.target], axis=1))
    # A choice beyond the model's would alias the key of another state.
    strange = np.flatnonzero((triples[:, 1] > model.choice.max()) | ~np.isin(model.keys(triples), known))
    if strange.size:
        row = int(strange[0])
        s, a, t = triples[row].tolist()
        fail(
            path,
            line_of(row),
            f"a reward for the transition from state {s}, choice {a} to {t}, which the model has not",
        )
    rewards.transition = triples, table[:, -1]


def save_prism(mdp: MDP, path: Path) -> None:
    """Write `.tra`, `.lab`, `.trew`, and `.sta` if states are named; see `mdplab.io.save` for what is left out."""
    P, r_next = sparse_rows(mdp)
    pairs = np.flatnonzero(mdp.actions.ravel())
    rank = choice_ranks(mdp)
    chain = mdp.actions.sum() == mdp.S and not rank.any()
    lines, rewards, count = [], [], 0
    for pair in pairs.tolist():
        s, a = divmod(pair, mdp.A)
        for k in range(int(P.indptr[pair]), int(P.indptr[pair + 1])):
            if P.data[k] == 0:
                continue
            where = f"{s} {P.indices[k]}" if chain else f"{s} {rank[s, a]} {P.indices[k]}"
            lines.append(f"{where} {float(P.data[k])!r}")
            reward = float(mdp.r[s, a] if r_next is None else r_next[k])
            if reward:
                rewards.append(f"{where} {reward!r}")
            count += 1
    sizes = f"{mdp.S}" if chain else f"{mdp.S} {pairs.size}"
    texts = {
        ".tra": f"{sizes} {count}\n" + "\n".join(lines) + "\n",
        ".trew": f"{sizes} {len(rewards)}\n" + "".join(f"{text}\n" for text in rewards),
        ".lab": _label_text(mdp, path),
    }
    if mdp.states is not None:
        texts[".sta"] = "(s)\n" + "".join(f"{s}:{name}\n" for s, name in enumerate(mdp.states))
    write_whole({path.with_suffix(suffix): _writer(text) for suffix, text in texts.items()})


def _writer(text: str) -> Callable[[BinaryIO], None]:
    return lambda file: file.write(text.encode())


def _label_text(mdp: MDP, path: Path) -> str:
    start = set(initial_states(mdp, path))
    lines = ['0="init" 1="terminal"']
    for s in range(mdp.S):
        keys = ["0"] * (s in start) + ["1"] * bool(mdp.terminal[s])
        if keys:
            lines.append(f"{s}: {' '.join(keys)}")
    return "\n".join(lines) + "\n"


def sparse_rows(mdp: MDP) -> tuple[sp.csr_array, np.ndarray | None]:
    """P in CSR, and the rewards by next state aligned with its entries, if any."""
    if mdp.is_sparse:
        return mdp.P, mdp.r_next
    P = sp.csr_array(mdp.P.reshape(-1, mdp.S))
    if mdp.r_next is None:
        return P, None
    rows = np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
    return P, mdp.r_next.reshape(-1, mdp.S)[rows, P.indices]


def choice_ranks(mdp: MDP) -> np.ndarray:
    """Number (S, A) of each available action among those of its state: these formats number choices without gaps."""
    return np.where(mdp.actions, np.cumsum(mdp.actions, axis=1) - 1, 0)


def initial_states(mdp: MDP, path: Path) -> list[int]:
    """The states to label init; ValueError if `mu` is not uniform on its support, which labels cannot say."""
    if mdp.mu is None:
        return [0]
    start = np.flatnonzero(mdp.mu)
    if np.ptp(mdp.mu[start]) > 0:
        fail(path, None, "the format has no initial distribution but a uniform one; use .npz, or mdp.replace(mu=None)")
    return start.tolist()
