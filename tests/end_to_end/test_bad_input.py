"""Bad input: each cause its own line and exit status, and nothing else is lost."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.card import ModelCard, ModelFile, read_model
from edge_ser.card.documents import canonical, sealed
from edge_ser.cli import main
from edge_ser.container import unwrap, wrap

RATE = 16_000
Run = Callable[..., Any]
Capture = pytest.CaptureFixture[str]


def voice(seconds: float = 0.5, rate: int = RATE, channels: int = 1) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    mono = 0.3 * np.sin(2 * np.pi * 150 * time) * np.hanning(len(time))
    return np.repeat(mono[:, None], channels, axis=1)


def put(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


# ---- audio -------------------------------------------------------------------------------------

WORKING: Mapping[str, Callable[[Path], object]] = {
    "8-bit.wav": lambda p: put(p, voice(), subtype="PCM_U8"),
    "24-bit.wav": lambda p: put(p, voice(), subtype="PCM_24"),
    "64-bit float.wav": lambda p: put(p, voice(), subtype="DOUBLE"),
    "ms adpcm.wav": lambda p: put(p, voice(), subtype="MS_ADPCM"),
    "ima adpcm.wav": lambda p: put(p, voice(), subtype="IMA_ADPCM"),
    "8 kHz.wav": lambda p: put(p, voice(rate=8_000), 8_000),
    "192 kHz.wav": lambda p: put(p, voice(rate=192_000), 192_000),
    "6 channels.wav": lambda p: put(p, voice(channels=6)),
    "1 sample.wav": lambda p: put(p, np.array([[0.5]])),
    "voice.flac": lambda p: put(p, voice()),
}


def header_only(path: Path) -> None:
    put(path, voice()[:0])


def truncated_flac(path: Path) -> None:
    rng = np.random.default_rng(1)
    put(path, rng.uniform(-0.5, 0.5, (RATE, 1)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_value(value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        samples = voice()
        samples[100] = value
        put(path, samples, subtype="FLOAT")

    return write


BROKEN: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "empty.wav": (lambda p: p.touch(), "empty"),
    "header only.wav": (header_only, "without samples"),
    "text.wav": (lambda p: p.write_text("Dear diary,\n" * 50), "not audio"),
    "truncated.flac": (truncated_flac, "damaged or cut short"),
    "nan.wav": (with_value(np.nan), "sample 100 is NaN or infinite"),
    "infinite.wav": (with_value(np.inf), "sample 100 is NaN or infinite"),
    "dangling.wav": (lambda p: p.symlink_to("gone.wav"), "a link to gone.wav"),
    "missing.wav": (lambda p: None, "no such file"),
    "nothing here": (lambda p: p.mkdir(), "no audio in this folder"),
    "no match *.ogg": (lambda p: None, "matches no file"),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, model: Path, edge_ser: Run) -> Any:
    """One run over all of the above: (ended process, record by name)."""
    folder = tmp_path_factory.mktemp("audio")
    for name, make in WORKING.items():
        make(folder / name)
    for name, (make, _) in BROKEN.items():
        make(folder / name)
    paths = [str(folder / name) for name in (*BROKEN, *WORKING)]
    ended = edge_ser("classify", *paths, "--model", str(model), "--format", "jsonl")
    records = [json.loads(line) for line in ended.stdout.splitlines()]
    return ended, {Path(record["path"]).name: record for record in records}


def test_a_batch_with_bad_files_finishes_with_1_and_is_quiet(mixed: Any) -> None:
    ended, records = mixed
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert set(records) == {*WORKING, *BROKEN}


@pytest.mark.parametrize("name", WORKING)
def test_unusual_formats_are_classified(name: str, mixed: Any) -> None:
    record = mixed[1][name]
    assert record["label"] in record["scores"]
    assert sum(record["scores"].values()) == pytest.approx(1, abs=1e-3)
    assert record["timings_ms"]["total"] > 0


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_has_a_record_that_says_why(name: str, mixed: Any) -> None:
    record = mixed[1][name]
    assert set(record) == {"path", "model", "error"}
    assert BROKEN[name][1] in record["error"]
    assert name in record["error"]
    assert "\n" not in record["error"]


def test_every_cause_has_words_of_its_own(mixed: Any) -> None:
    texts = {
        mixed[1][name]["error"].replace(name, "").split(": ", 1)[1]
        for name in BROKEN
        if name != "infinite.wav"
    }
    assert len(texts) == len(BROKEN) - 1


@pytest.mark.parametrize("name", BROKEN)
def test_alone_it_is_5(name: str, tmp_path: Path, model: Path, capsys: Capture) -> None:
    BROKEN[name][0](tmp_path / name)
    assert main(["classify", str(tmp_path / name), "-m", str(model), "--format", "csv"]) == 5
    said = capsys.readouterr()
    assert BROKEN[name][1] in said.out
    assert said.err == ""


def test_an_unreadable_file(
    tmp_path: Path, model: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = put(tmp_path / "secret.wav", voice())
    secret.chmod(0)
    if os.access(secret, os.R_OK):  # the superuser reads everything
        really = builtins.open

        def refusing(file: Any, *arguments: Any, **options: Any) -> Any:
            if str(file) == str(secret):
                raise PermissionError(13, "Permission denied", str(file))
            return really(file, *arguments, **options)

        monkeypatch.setattr(builtins, "open", refusing)
    assert main(["classify", str(secret), "-m", str(model)]) == 5
    assert "secret.wav: permission denied" in capsys.readouterr().out


def test_all_failed_for_different_causes_is_1(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ser.classifier import Classifier, Outcome
    from edge_ser.errors import AudioError, ProviderError

    def failing(_: object, paths: list[str]) -> Any:
        yield Outcome(paths[0], error=AudioError("one"))
        yield Outcome(paths[1], error=ProviderError("another"))

    monkeypatch.setattr(Classifier, "classify_many", failing)
    assert main(["classify", "a.wav", "b.wav", "-m", str(model), "-o", os.devnull]) == 1


def test_a_recording_is_not_written_over(tmp_path: Path, model: Path, capsys: Capture) -> None:
    clip = put(tmp_path / "clip.wav", voice())
    before = clip.read_bytes()
    assert main(["classify", str(tmp_path), "-m", str(model), "-o", str(clip)]) == 2
    assert main(["classify", str(clip), "-m", str(model), "-o", str(model)]) == 2
    manifest = tmp_path / "clips.csv"
    manifest.write_text("path,label\nclip.wav,calm\n")
    pictured = manifest.with_suffix(".png")
    pictured.write_bytes(manifest.read_bytes())
    for place, read, target in (
        *(("-o", manifest, each) for each in (clip, manifest, model)),
        ("--plot", pictured, pictured),
    ):
        assert main(["evaluate", str(read), "-m", str(model), place, str(target)]) == 2
    assert clip.read_bytes() == before
    assert manifest.read_text() == pictured.read_text() == "path,label\nclip.wav,calm\n"
    assert capsys.readouterr().err.count("is one of the inputs") == 6


def test_what_evaluate_could_not_score_is_named(
    tmp_path: Path, model: Path, capsys: Capture
) -> None:
    (tmp_path / "calm").mkdir()
    put(tmp_path / "calm" / "huge.wav", np.full((8000, 1), 1e30), subtype="FLOAT")
    assert main(["evaluate", str(tmp_path), "-m", str(model)]) == 5
    assert "calm/huge.wav: " in capsys.readouterr().out


# ---- models ------------------------------------------------------------------------------------


def truncated(by: Callable[[int], int]) -> Callable[[bytes, ModelFile], bytes]:
    return lambda data, _: data[: by(len(data))]


def flipped(position: Callable[[bytes], int]) -> Callable[[bytes, ModelFile], bytes]:
    def flip(data: bytes, _: ModelFile) -> bytes:
        at = position(data)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return flip


def with_card(change: Callable[[ModelCard], ModelCard]) -> Callable[[bytes, ModelFile], bytes]:
    def write(data: bytes, model: ModelFile) -> bytes:
        return wrap(model.payload, change(model.card).to_document())

    return write


def with_schema(version: str) -> Callable[[bytes, ModelFile], bytes]:
    def write(data: bytes, model: ModelFile) -> bytes:
        values = {k: v for k, v in model.card.to_dict().items() if k != "card_sha256"}
        return wrap(model.payload, canonical(sealed(values | {"schema": version})))

    return write


DAMAGE: Mapping[str, tuple[Callable[[bytes, ModelFile], bytes], str]] = {
    "cut by 10 bytes": (truncated(lambda n: n - 10), "again"),
    "cut by half": (truncated(lambda n: n // 2), ""),
    "flipped weight": (flipped(lambda data: len(unwrap(data).payload) // 2), ""),
    "flipped card": (flipped(lambda data: data.index(b'"labels":["') + 12), "changed"),
    "other format": (lambda data, _: b"PK\x03\x04" + bytes(500), "a ZIP archive"),
    "empty": (lambda data, _: b"", "the file is empty"),
    "one label more": (
        with_card(lambda card: replace(card, labels=(*card.labels, "more"), goldens=None)),
        "labels",
    ),
    "newer schema": (with_schema("2.0"), "schema 2.0"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_damaged_model_is_one_line_and_3(
    damage: str, kind: str, models: Mapping[str, Path], tmp_path: Path, capfd: Capture
) -> None:
    source = models[kind]
    spoil, words = DAMAGE[damage]
    bad = tmp_path / f"bad.{kind}"
    bad.write_bytes(spoil(source.read_bytes(), read_model(source)))
    clip = put(tmp_path / "clip.wav", voice())
    assert main(["classify", str(clip), "--model", str(bad)]) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("edge-ser: ")
    assert words in said.err


@pytest.mark.parametrize("damage", ["cut by 10 bytes", "flipped weight", "flipped card"])
def test_a_damaged_model_in_a_process_of_its_own(
    damage: str, model: Path, tmp_path: Path, edge_ser: Run
) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(DAMAGE[damage][0](model.read_bytes(), read_model(model)))
    clip = put(tmp_path / "clip.wav", voice())
    for command in (["classify", str(clip), "--model", str(bad)], ["inspect", str(bad)]):
        ended = edge_ser(*command)
        assert ended.returncode == 3
        assert ended.stdout == ""
        assert ended.stderr.count("\n") == 1


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protobuf message: a length-delimited one, or a small varint."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2]) + bytes([len(value)]) + value


def test_onnx_with_weights_outside_is_refused(tmp_path: Path, capfd: Capture) -> None:
    location = field(1, b"location") + field(2, b"../secret.bin")
    tensor = field(1, 1) + field(2, 1) + field(8, b"w") + field(13, location) + field(14, 1)
    graph = field(1, field(4, b"Identity")) + field(2, b"g") + field(5, tensor)
    bad = tmp_path / "outside.onnx"
    bad.write_bytes(field(1, 8) + field(7, graph))
    assert main(["classify", "clip.wav", "--model", str(bad)]) == 3
    said = capfd.readouterr().err
    assert said.startswith(f"edge-ser: {bad}: ")
    assert "re-export" in said or "one file" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
@pytest.mark.parametrize("provider", ["cuda", "abacus"])
def test_a_provider_that_is_not_there_is_4(
    kind: str, provider: str, models: Mapping[str, Path], tmp_path: Path, capfd: Capture
) -> None:
    clip = put(tmp_path / "clip.wav", voice())
    arguments = ["classify", str(clip), "--model", str(models[kind]), "--provider", provider]
    assert main(arguments) == 4
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("edge-ser: ")
    assert provider in said.err


def test_a_misspelt_model_is_answered_with_the_nearest(capfd: Capture) -> None:
    assert main(["classify", "clip.wav", "--model", "plb-emobd"]) == 3
    said = capfd.readouterr().err
    assert said.startswith("edge-ser: no model 'plb-emobd'")
    assert said.count("\n") == 1


def test_an_untrained_model_is_refused_unless_allowed(
    model: Path, tmp_path: Path, capfd: Capture
) -> None:
    found = read_model(model)
    card = replace(found.card, provenance=replace(found.card.provenance, state="untrained"))
    raw = tmp_path / "raw.tflite"
    raw.write_bytes(wrap(found.payload, card.to_document()))
    clip = put(tmp_path / "clip.wav", voice())
    assert main(["classify", str(clip), "--model", str(raw)]) == 3
    assert "untrained" in capfd.readouterr().err
    assert main(["classify", str(clip), "--model", str(raw), "--allow-untrained"]) == 0
