"""Damaged copies of good files: each is refused by name with one line, or still reads as some valid model."""

import numpy as np
import pytest
from instances.random_models import random_model

from mdplab.io import load, save

LOG = "s,a,r,s_next,done\n" + "".join(f"{s},{a},{s * 0.5},{(s + a) % 3},0\n" for s in range(3) for a in range(2))


def damaged(raw, rng):
    """One of: a byte changed, a piece lost, a piece doubled, a line lost."""
    at, to = sorted(rng.integers(0, len(raw), 2).tolist())
    to = min(to, at + 40)
    kind = rng.integers(4)
    if kind == 0:
        return raw[:at] + bytes([rng.choice(list(b'0123456789.,:-+eE[]{}"#@\n\t x\x00\xff'))]) + raw[at + 1 :]
    if kind == 1:
        return raw[:at] + raw[to:]
    if kind == 2:
        return raw[:to] + raw[at:]
    lines = raw.split(b"\n")
    del lines[int(rng.integers(len(lines)))]
    return b"\n".join(lines)


@pytest.mark.parametrize("name", ["m.npz", "m.json", "m.tra", "m.lab", "m.trew", "m.sta", "m.drn", "m.csv"])
def test_damage_is_an_error_with_the_name_of_the_file_or_harmless(tmp_path, name):
    rng = np.random.default_rng([91, sum(name.encode())])
    source = tmp_path / ("m.tra" if name[2:] in ("lab", "trew", "sta") else name)
    refused = 0
    for _ in range(8):
        if name == "m.csv":
            source.write_text(LOG)
        else:
            model = random_model(rng, sparse=False, kind="plain", by_next=True)
            save(model.replace(states=[f"({i})" for i in range(model.S)]), source)
        good = (tmp_path / name).read_bytes()
        for _ in range(40):
            (tmp_path / name).write_bytes(damaged(good, rng))
            try:
                load(source, gamma=0.5)
            except ValueError as error:
                refused += 1
                assert str(error).startswith(f"{tmp_path / 'm.'}") and "\n" not in str(error)
        (tmp_path / name).write_bytes(good)
        load(source, gamma=0.5)
    # Much damage is harmless (a digit of a reward, a label); but a reader that checks nothing would refuse none.
    assert refused > 40
