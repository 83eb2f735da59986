"""Experiments: what a TOML file may say, what it is told where it may not, and the shipped ones."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_ser.errors import ConfigError
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.experiment import (
    DATA,
    Experiment,
    as_toml,
    find_experiment,
    from_tables,
    name_with,
    shipped,
    with_settings,
)

TABLES: dict[str, dict[str, Any]] = {
    "data": {"corpus": "emovo", "clip_samples": 96_000, "features": {"layout": "time_last"}},
    "network": {"name": "cktim-tab1", "omega_0": 24},
    "protocol": {"name": "loso", "validation": "clips"},
    "training": {"epochs": 3, "learning_rate": 0.01},
    "augmentation": {"mode": "online", "step": [{"name": "gain", "db": [-6, 6]}]},
}


def read(**changed: dict[str, Any]) -> Experiment:
    return from_tables({**TABLES, **changed}, "mine", "mine.toml")


def test_what_a_file_says() -> None:
    found = read()
    assert found.name == "mine" and found.network.options.omega_0 == 24
    assert found.network.options.blocks == 1 and found.network.parameters == {}
    assert found.data.spec().shape(96_000) == (39, 188)
    assert found.training.batch == 32
    assert from_tables({"name": "other", **TABLES}, "mine", "mine.toml").name == "other"


def test_an_experiment_is_written_and_read_again() -> None:
    found = read()
    assert from_tables(tomllib.loads(as_toml(found)), "", "again") == found
    plain = read(augmentation={}, network={"name": "plb"}, protocol={"seed": 3})
    assert from_tables(tomllib.loads(as_toml(plain)), "", "again") == plain


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trainning": {}}, r"'trainning' is unknown: did you mean training\?"),
        ({"training": {"epoch": 3}}, r"\[training\]: 'epoch' is unknown: did you mean epochs\?"),
        ({"training": {"epochs": "3"}}, r"epochs is '3', expected a whole number"),
        ({"training": {"epochs": 0}}, r"epochs is 0, expected 1 or more"),
        ({"training": {"seed": 2**32}}, r"seed is 4294967296, expected 0 to 4294967295"),
        ({"training": {"seed": -1}}, r"seed is -1, expected 0 to"),
        (
            {"data": {"features": {"n_mels": 0}}},
            r"\[data.features\]: n_mels is 0, expected 1 to 1024$",
        ),
        (
            {"network": {"name": "functionals-24", "dropout": 2}},
            r"\[network\]: dropout is 2.*, expected 0 to below 1",
        ),
        (
            {"network": {"name": "plb"}, "training": {"accumulate": 2}},
            "accumulate and mixed_precision are for Torch, plb is a Keras network",
        ),
        ({"training": {"beta_1": 1}}, r"beta_1 is 1.0, expected 0 or more, below 1"),
        ({"training": {"learning_rate": 0}}, r"learning_rate is 0.0, expected 0 to 100"),
        ({"training": {"weight_decay": -5.0}}, r"weight_decay is -5.0, expected 0 to 100"),
        ({"training": {"epsilon": -1.0}}, r"epsilon is -1.0, expected 1e-30 to 1"),
        ({"data": {"clip_samples": 10**11}}, r"clip_samples is 100000000000, expected 1 to 16777"),
        ({"training": {"accumulate": 0}}, r"accumulate is 0, expected 1 or more"),
        ({"training": {"schedule": "step"}}, r"schedule is 'step', expected constant or steps"),
        ({"training": 3}, r"\[training\] is 3, expected a section"),
        ({"network": {"name": "cktim-tab9"}}, r"no network 'cktim-tab9'.*did you mean cktim-tab"),
        (
            {"network": {"name": "plb", "omega": 1}},
            r"network of the family capsules: 'omega' is unknown: there are body",
        ),
        ({"network": {"name": "tim-tab1", "blocks": "2"}}, r"blocks is '2', expected a whole"),
        ({"network": {}}, r"\[network\] has no name"),
        ({"protocol": {"name": "leave-one-out"}}, r"name is 'leave-one-out', expected grouped"),
        ({"data": {"frontend": "librosaa"}}, r"frontend is 'librosaa', expected one of"),
        ({"data": {"labels": ["a", "a"]}}, r"a label stands twice"),
        ({"data": {"labels": "a"}}, r"labels is 'a', expected a list, each text"),
        ({"data": {"clip_samples": 0}}, r"clip_samples is 0"),
        ({"data": {"features": {"hop": 1}}}, r"hop is no parameter of a frontend"),
        ({"augmentation": {"step": [{"name": "gian"}]}}, r"gian.*did you mean gain\?"),
        ({"name": "a/b"}, r"name is 'a/b', expected up to 80 letters"),
    ],
)
def test_mistakes_are_told(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        read(**changed)
    assert "mine.toml" in str(told.value) or "[" in str(told.value)


def test_settings_of_the_command_line() -> None:
    values = with_settings(
        TABLES, ["network.omega_0 = 26", "training.schedule=cosine", 'data.labels=["a", "b"]']
    )
    found = from_tables(values, "mine", "mine.toml")
    assert found.network.options.omega_0 == 26 and found.training.schedule == "cosine"
    assert found.data.labels == ("a", "b")
    assert TABLES["network"]["omega_0"] == 24
    folds = {"protocol": {"name": "grouped", "folds": 6, "seed": 1}}
    assert with_settings(folds, ["protocol.name=whole"]) == {
        "protocol": {"name": "whole", "seed": 1}
    }
    for wrong in ("omega_0=26", "network.omega_0", "=3"):
        with pytest.raises(ConfigError, match=r"expected section\.key=value"):
            with_settings(TABLES, [wrong])
    with pytest.raises(ConfigError, match="title is no section, but a value"):
        with_settings({"title": "x"}, ["title.x=1"])


def test_settings_are_told_by_the_name_so_that_runs_do_not_share_a_folder() -> None:
    epochs, batch = ({**TABLES, "name": "given"}, {**TABLES, "name": "given"})
    assert with_settings(epochs, ["training.epochs=8"])["name"] == "given-epochs-8"
    assert with_settings(batch, ["training.batch=8"])["name"] == "given-batch-8"
    assert with_settings(batch, [])["name"] == "given"
    long = ["data.features={a=1}"] * 20
    assert len(name_with("long", long)) == 80
    assert name_with("long", [*long, "training.batch=8"]) != name_with("long", long)
    assert from_tables(TABLES, name_with("stimme \u00fc", ["training.batch=8"]), "here").name


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_experiments_fit_their_networks(name: str) -> None:
    found = from_tables(find_experiment(name)[1], name, name)
    own = DATA[found.network.family]
    if found.data.frontend == "cktim-stereo":
        assert found.data.spec().shape(found.data.clip_samples) == (39, 700)
        return
    shape = found.data.spec().shape(found.data.clip_samples)
    if found.network.family == "functionals":  # takes as many values as there are
        (values,) = shape
        hidden, rank = found.network.options.hidden, found.network.options.rank
        # Mean and deviation, the sums, the hidden layer and nine labels: small as promised.
        first = values * rank + (rank + 1) * hidden if rank else (values + 1) * hidden
        assert 2 * values + first + 9 * hidden < 100_000
    else:
        assert shape == own.spec().shape(own.clip_samples)
    title = shipped()[name].read_text().splitlines()[0]
    assert title.startswith("# ") and len(title) > 20


def test_experiments_are_found_by_path_and_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[network]\nname = "plb"\n')
    assert find_experiment(str(path)) == ("mine", {"network": {"name": "plb"}}, str(path))
    with pytest.raises(ConfigError, match=r"no such file.*did you mean plb-emodb\?"):
        find_experiment("plb-emodv")
    with pytest.raises(ConfigError, match=r"--list"):
        find_experiment("zzz")
    path.write_text("[network\n")
    with pytest.raises(ConfigError, match="expected a TOML file"):
        find_experiment(str(path))


def test_published_options_keep_the_published_counts() -> None:
    same = network("tim-tab6").with_options(blocks=6)
    assert same is network("tim-tab6")
