"""Bad values of common arguments, each with the message they deserve: tables of `({name: value}, pattern)`."""

import numpy as np


def positive(name, *, inf=True):
    values = [0.0, -1.0, np.nan] + [np.inf] * inf
    return [({name: value}, rf"^{name} is {value}; ") for value in values]


def at_least(name, least=0.0):
    return [({name: value}, rf"^{name} is {value}; ") for value in (least - 0.5, np.nan, np.inf)]


def count(name, least=1):
    bad = [({name: value}, rf"^{name} is {value}; ") for value in (least - 1, 2.5, np.inf)]
    return [*bad, ({name: "two"}, rf"^{name} is 'two'; ")]


def entries(name, size, most=np.inf):
    """Arrays (T,) of numbers above 0."""
    out = [({name: np.ones((2, 2))}, rf"^{name} has shape \(2, 2\)"), ({name: []}, rf"^{name} has shape \(0,\)")]
    for value in (0.0, -1.0, np.nan, np.inf, *([1.5] if most == 1 else [])):
        array = np.ones(size)
        array[size - 1] = value
        out.append(({name: array}, rf"^{name}\[{size - 1}\] is {value}; "))
    return out


def marks(last, first=0):
    many = [([first, last + 1], 1, last + 1), ([1, 1], 1, 1), ([-1], 0, -1), ([1.5], 0, 1.5), ([np.nan], 0, "nan")]
    if last > 1 << 40:
        many = many[1:]
    named = [({"checkpoints": given}, rf"^checkpoints\[{i}\] is {value}; ") for given, i, value in many]
    shapes = [
        ({"checkpoints": []}, "^checkpoints is empty"),
        ({"checkpoints": [[1]]}, r"^checkpoints has shape \(1, 1\)"),
    ]
    low = [({"checkpoints": [first - 1]}, rf"^checkpoints\[0\] is {first - 1}; ")]
    return named + shapes + low


def array(name, shape, index=None):
    bad = np.ones(shape)
    bad[(0,) * len(shape)] = np.nan
    where = index or rf"\[{', '.join('0' * len(shape))}\]"
    wrong = (*shape[:-1], shape[-1] + 1)
    text = str(wrong).replace("(", r"\(").replace(")", r"\)")
    return [({name: bad}, rf"^{name}{where} is nan; "), ({name: np.ones(wrong)}, rf"^{name} has shape {text}")]


def schedule(*extra):
    return {"num_iters": 4, **dict(extra)}, [*count("num_iters"), *(f for name, _ in extra for f in positive(name))]
