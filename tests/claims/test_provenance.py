"""The record says how numbers were made, and nothing of whose machine it was."""

import getpass
import os
import platform

import numpy as np
from claims.toy import MODULE, write_paper

from mdplab.claims.provenance import instance_hash
from mdplab.claims.runner import run_claims
from mdplab.models import MDP


def test_instances_are_told_by_every_number():
    P, r = np.full((2, 1, 2), 0.5), np.zeros((2, 1))
    hashes = {
        instance_hash(MDP(P, r, 0.5)),
        instance_hash(MDP(P, r, 0.25)),
        instance_hash(MDP(P, r + 1, 0.5)),
        instance_hash(MDP(P[:, :, ::-1] * [0.5, 1.5], r, 0.5)),
    }
    assert len(hashes) == 4
    assert instance_hash(MDP(P, r, 0.5)) in hashes


def test_the_record_is_complete_and_names_no_folder_host_or_user(toy):
    # The first measurement of the module is that of `small`.
    old = "measured=rng.uniform(0.5, 1.0, 5), "
    write_paper(toy, module=MODULE.replace(old, old + "instance='0f', ", 1))
    run = run_claims(["toy2000:small", "toy2000:rate"], workers=1)
    assert {"mdplab", "commit", "dirty", "versions", "machine", "threads", "levels", "suite_entropy"} <= set(
        run.manifest
    )
    assert run.manifest["threads"]["blas"] == 1
    assert run.manifest["versions"]["numpy"] == np.__version__
    record = run["toy2000:rate"].provenance
    assert set(record) == {
        "config_sha256",
        "sources_sha256",
        "entropy",
        "spawn_keys",
        "instances",
        "p_values",
        "guards",
        "power",
    }
    assert record["power"].startswith("95% power for margin 0.05")
    assert "power" not in run["toy2000:small"].provenance, "a deterministic claim has none"
    p = record["p_values"]["main"]
    assert p["accept"] <= p["accept_adjusted"] < 0.05 < p["refute"]
    assert run["toy2000:small"].provenance["instances"] == ["0f"]
    assert run["toy2000:small"].not_established.startswith("Says nothing")
    text = run.dumps()
    for folder in (str(toy), os.path.expanduser("~") + "/", os.getcwd()):
        assert folder not in text
    said = {str(value) for part in (run.manifest, run.manifest["machine"]) for value in part.values()}
    assert not said & {platform.node(), getpass.getuser()}
