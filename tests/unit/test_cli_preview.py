"""`edge-ser preview`: its pictures, its table, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.cli import COMMANDS, main
from edge_ser.cli.preview import PICTURES
from edge_ser.corpora import Corpus, Utterance
from edge_ser.frontend import PRESETS
from edge_ser.lab.architectures.networks import build
from edge_ser.lab.augmentation import preset, read_augmentation
from edge_ser.lab.experiment import from_tables
from edge_ser.lab.pictures.trained import TRAINED
from edge_ser.lab.protocols import Split
from edge_ser.lab.runs import claim, read_run, write_rows

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

pytestmark = pytest.mark.needs("matplotlib")


@pytest.fixture(autouse=True)
def registered(monkeypatch: Patch) -> None:
    monkeypatch.setitem(COMMANDS, "preview", "")


@pytest.fixture
def drawn(monkeypatch: Patch) -> list[tuple[Any, ...]]:
    """What was asked of the three pictures, which are not drawn."""
    asked: list[tuple[Any, ...]] = []
    for name in ("class_counts", "clip", "augmentations"):
        monkeypatch.setattr(
            f"edge_ser.lab.pictures.data.draw_{name}", lambda *given: asked.append(given)
        )
    return asked


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three clips of calm by ann, one of glad by bob."""
    soundfile = pytest.importorskip("soundfile")
    tone = 0.1 * np.sin(np.arange(8000) / 4)
    folder = tmp_path / "mine"
    rows = ["path,label,speaker,split"]
    for name, label, speaker, split in (
        ("one", "calm", "ann", "train"),
        ("two", "calm", "ann", "train"),
        ("three", "calm", "ann", "test"),
        ("four", "glad", "bob", "train"),
    ):
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{name}.wav", tone, 16_000)
        rows.append(f"{name}.wav,{label},{speaker},{split}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


def test_pictures_and_table(corpus: Path, tmp_path: Path, capsys: Capture) -> None:
    look = tmp_path / "new" / "look"
    assert main(["preview", str(corpus), "-o", str(look)]) == 0
    assert sorted(path.name for path in look.iterdir()) == sorted(PICTURES)
    for path in look.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines() == [
        "label  train  test",
        "calm       2     1",
        "glad       1     0",
        "clips      3     1",
        "",
        "speaker  calm  glad  clips",
        "ann         3     0      3",
        "bob         0     1      1",
    ]


def test_what_is_drawn(corpus: Path, tmp_path: Path, drawn: list[tuple[Any, ...]]) -> None:
    look = tmp_path / "look"
    arguments = ["preview", str(corpus), "-o", str(look), "--seed", "7", "--augmentation", "cktim"]
    assert main([*arguments, "--clip", "four", "--frontend", "waveform"]) == 0
    counts, clip, augmentations = drawn
    numbers = {"train": {"calm": 2, "glad": 1}, "test": {"calm": 1, "glad": 0}}
    assert counts == (numbers, look / "class_counts.png", "mine")
    samples, *rest = clip
    assert len(samples) == 8000
    assert rest == [PRESETS["waveform"], look / "clip.png", "four: glad"]
    steps, _, _, path, seed, title = augmentations
    assert (steps, path, seed) == (preset("cktim"), look / "augmentations.png", 7)
    assert title == "four: glad"


def test_of_a_long_clip_half_a_minute_is_drawn(
    corpus: Path, tmp_path: Path, drawn: list[tuple[Any, ...]]
) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(corpus / "one.wav", np.ones(40 * 8000) / 10, 8000)
    arguments = ["preview", str(corpus), "-o", str(tmp_path), "--frontend", "waveform"]
    assert main(arguments) == 0
    assert len(drawn[1][0]) == 30 * 16_000


@pytest.mark.usefixtures("drawn")
def test_for_programs(corpus: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ["preview", str(corpus), "-o", str(tmp_path / "look"), "--format"]
    assert main([*arguments, "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == {"split": "test", "speaker": "ann", "label": "calm", "clips": "1"}
    assert sum(int(row["clips"]) for row in rows) == 4
    assert main([*arguments, "json"]) == 0
    assert [{k: str(v) for k, v in row.items()} for row in json.loads(capsys.readouterr().out)] == (
        rows
    )


@pytest.mark.usefixtures("drawn")
def test_many_speakers_are_a_line(
    corpus: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    path = corpus / "one.wav"
    crowd = Corpus(
        "crowd",
        (
            Utterance(path, "calm", "0"),
            *(Utterance(path.with_name(f"{n}.wav"), "calm", str(n // 2)) for n in range(100)),
        ),
    )
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: crowd)
    assert main(["preview", "crowd", "-o", str(tmp_path / "look")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "50 speakers of 2 to 3 clips, half of them up to 2; --format csv has them all"
    )


@pytest.mark.usefixtures("drawn")
def test_without_speakers_there_is_no_table_of_them(
    corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    (corpus / "manifest.csv").write_text("path,label\none.wav,calm\n")
    assert main(["preview", str(corpus), "-o", str(tmp_path / "look")]) == 0
    assert capsys.readouterr().out.splitlines() == ["label  all", "calm     1", "clips    1"]


def test_steps_of_ones_own(corpus: Path, tmp_path: Path, drawn: list[tuple[Any, ...]]) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[augmentation]\nstep = [{ name = "reverse" }]\n[training]\nepochs = 3\n')
    arguments = ["preview", str(corpus), "-o", str(tmp_path / "look")]
    assert main([*arguments, "--augmentation", str(config)]) == 0
    assert drawn[2][0] == read_augmentation({"step": [{"name": "reverse"}]})


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--clip", "thre"], 7, "no clip is called thre: did you mean three?"),
        (["--clip", "zzz"], 7, "no clip is called zzz: one is one"),
        (["--augmentation", "microfone"], 2, "did you mean microphone?"),
        (["--augmentation", "zzz"], 2, "there are cktim, wav2vec2, microphone"),
        (["--augmentation", "empty.toml"], 2, "no section [augmentation]"),
        (["--augmentation", "wrong.toml"], 2, "no step is called 'echo'"),
        (["--frontend", "librose"], 2, "librose"),
        (["-o", "mine/one.wav"], 6, "expected a folder that can be written"),
    ],
)
def test_what_cannot_be(
    arguments: list[str],
    code: int,
    words: str,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.toml").write_text("")
    Path("wrong.toml").write_text('[augmentation]\nstep = [{ name = "echo" }]')
    assert main(["preview", "mine", "-o", "look", *arguments]) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert not Path("look").exists()


def test_a_clip_that_is_no_audio_is_5(corpus: Path, tmp_path: Path) -> None:
    (corpus / "one.wav").write_bytes(b"no audio")
    assert main(["preview", str(corpus), "-o", str(tmp_path / "look")]) == 5
    assert not (tmp_path / "look").exists()


def test_the_corpus_is_not_written_over(corpus: Path, capsys: Capture) -> None:
    config = corpus / "clip.png"
    config.write_text('[augmentation]\nstep = [{ name = "reverse" }]')
    before = config.read_bytes()
    assert main(["preview", str(corpus), "-o", str(corpus), "--augmentation", str(config)]) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert config.read_bytes() == before


def test_an_empty_corpus(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: Corpus("none", ()))
    assert main(["preview", "none", "-o", str(tmp_path / "look")]) == 7
    assert "none: no clips" in capsys.readouterr().err


class TestTrained:
    """Pictures of a run's network."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        return make_run(tmp_path / "run", {"name": "cnn-custom-32-8", "width": 4, "depth": 3})

    @pytest.mark.needs("torch")
    def test_pictures(
        self, corpus: Path, run: Path, tmp_path: Path, drawn: list[tuple[Any, ...]]
    ) -> None:
        look = tmp_path / "look"
        assert main(["preview", str(corpus), "-o", str(look), "--run", str(run)]) == 0
        assert sorted(path.name for path in look.iterdir()) == sorted(TRAINED)
        for path in look.iterdir():
            assert path.read_bytes().startswith(b"\x89PNG")
        assert drawn[1][-1] == "three: calm"  # the one that the run tests

    @pytest.mark.needs("torch")
    @pytest.mark.usefixtures("drawn")
    def test_a_network_of_one_convolution(self, corpus: Path, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run", {"name": "cnn-custom-32-8", "width": 4, "depth": 1})
        look = tmp_path / "look"
        assert main(["preview", str(corpus), "-o", str(look), "--run", str(run)]) == 0
        assert sorted({*TRAINED} - {path.name for path in look.iterdir()}) == ["filters_2.png"]

    @pytest.mark.needs("torch")
    @pytest.mark.usefixtures("drawn")
    def test_what_is_drawn(
        self, corpus: Path, run: Path, tmp_path: Path, monkeypatch: Patch
    ) -> None:
        import torch

        asked: dict[str, tuple[Any, ...]] = {}
        for name in ("filters", "frequency_view", "feature_maps", "class_activation"):
            monkeypatch.setattr(
                f"edge_ser.lab.pictures.trained.draw_{name}",
                lambda *given, name=name: asked.update({name: given}),
            )
        look = tmp_path / "look"
        arguments = ["preview", str(corpus), "-o", str(look), "--run", str(run), "--clip", "four"]
        assert main(arguments) == 0
        module, samples, rate, answer, path, title = asked["class_activation"]
        kept = torch.load(run / "last.pt", weights_only=True)["model"]
        assert all(torch.equal(kept[key], value) for key, value in module.state_dict().items())
        # Half a second, padded at the end as the family's clips are.
        expected = np.zeros(16_000, dtype=np.float32)
        expected[:8000] = 0.1 * np.sin(np.arange(8000) / 4)
        np.testing.assert_allclose(samples, expected, atol=1e-4)
        with torch.no_grad():
            assert answer == int(module(torch.tensor(samples)[None]).argmax())
        assert (rate, path) == (16_000, look / "class_activation.png")
        assert title == f"answered {('calm', 'glad')[answer]}; four: glad"
        assert asked["feature_maps"][1:] == (samples, rate, look / "feature_maps.png", "four: glad")
        of = "cnn-custom-32-8, weights kept after 1 of 60 epochs"
        assert asked["filters"][1:] == (rate, look / "filters_2.png", 2, of)
        assert asked["frequency_view"][1:] == (rate, look / "frequency_view.png", of)

    @pytest.mark.parametrize(
        ("network", "spoil", "code", "words"),
        [
            ("tim-tab1", "", 7, "a network of family tim, expected waveform-cnn"),
            ("cnn-custom-32-8", "weights", 7, "no last.pt in it, expected the weights of an epoch"),
            ("cnn-custom-32-8", "config", 7, "expected a whole run folder"),
        ],
    )
    def test_runs_that_cannot_be_drawn(
        self,
        network: str,
        spoil: str,
        code: int,
        words: str,
        corpus: Path,
        tmp_path: Path,
        capsys: Capture,
    ) -> None:
        run = make_run(tmp_path / "run", {"name": network}, weights=False)
        if spoil == "config":
            (run / "config.toml").unlink()
        look = tmp_path / "look"
        assert main(["preview", str(corpus), "-o", str(look), "--run", str(run)]) == code
        said = capsys.readouterr()
        assert words in said.err
        assert len(said.err.splitlines()) == 1
        assert said.out == ""
        assert not look.exists()

    @pytest.mark.needs("torch")
    @pytest.mark.usefixtures("drawn")
    def test_weights_of_another_network(
        self, corpus: Path, run: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        other = make_run(tmp_path / "other", {"name": "cnn-custom-32-8", "width": 6, "depth": 3})
        (run / "last.pt").write_bytes((other / "last.pt").read_bytes())
        arguments = ["preview", str(corpus), "-o", str(tmp_path / "look"), "--run", str(run)]
        assert main(arguments) == 3
        assert "another architecture" in capsys.readouterr().err

    def test_a_run_is_not_written_over(self, corpus: Path, tmp_path: Path, capsys: Capture) -> None:
        (corpus / "one.wav").rename(corpus / "feature_maps.png")
        manifest = corpus / "manifest.csv"
        manifest.write_text(manifest.read_text().replace("one.wav", "feature_maps.png"))
        run = make_run(tmp_path / "run", {"name": "cnn-custom-32-8"}, weights=False)
        (run / "last.pt").touch()
        assert main(["preview", str(corpus), "-o", str(corpus), "--run", str(run)]) == 2
        assert "is one of the inputs" in capsys.readouterr().err


def make_run(folder: Path, network: dict[str, Any], weights: bool = True) -> Path:
    """A run of `corpus` that tests the clip three, after one epoch."""
    values = {"data": {"corpus": "mine", "labels": ["calm", "glad"]}, "network": network}
    if network["name"].startswith("cnn-"):
        values["data"] |= {"frontend": "waveform", "features": {"normalise": "none"},
                           "clip_samples": 16_000, "pad_side": "end"}  # fmt: skip
    experiment = from_tables(values, "made", "made.toml")
    labels = {"one": "calm", "two": "calm", "three": "calm", "four": "glad"}
    folder.mkdir()
    claim(folder, experiment, Split("official", ["four", "one", "two"], ["three"], [], [], labels))
    write_rows(folder, [{"epoch": 0, "loss": 1.0, "accuracy": 0.5, "rate": 0.001}])
    if weights:
        import torch

        module = build(experiment.network, 2, (experiment.data.clip_samples,), seed=3)
        torch.save({"model": module.state_dict()}, read_run(folder).weights)
    return folder
