"""Every named instance is a valid model with a documented source."""

import inspect

import numpy as np
import pytest

from mdplab import instances


@pytest.mark.parametrize("name", sorted(instances.NAMES))
def test_every_instance_builds_and_is_the_same_twice(name):
    first, second = (instances.build(name, rng=np.random.default_rng([31])) for _ in range(2))
    assert first.digest() == second.digest()
    assert first.S <= 600


@pytest.mark.parametrize("name", sorted(instances.NAMES))
def test_every_instance_names_its_source_or_closed_form(name):
    text = inspect.getdoc(instances.NAMES[name])
    assert "Source" in text or "_value" in text
    assert getattr(instances, name) is instances.NAMES[name]


def test_arguments_override_the_example_sizes():
    assert instances.build("garnet", S=7, rng=np.random.default_rng([32])).S == 7
    assert instances.build("riverswim", version="strehl-littman").mu[1] == 0.5


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("river_swim", {}, "unknown instance 'river_swim'; nearest: riverswim"),
        ("zzz", {}, "there are azar_hard, backlog_inventory"),
        ("garnet", {}, "needs rng"),
        ("chain", {"length": 3}, "instance 'chain': .*unexpected keyword argument 'length'"),
    ],
)
def test_what_is_unknown_is_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        instances.build(name, **arguments)
