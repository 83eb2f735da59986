"""Damaged model files: every one is refused, by type, before a runtime sees a byte of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import edge_ser
from edge_ser.card import read_model, write_model
from edge_ser.errors import ExitCode, ModelError
from edge_ser.runtime.onnx import OnnxInterpreter
from edge_ser.runtime.tflite import TfliteInterpreter
from edge_ser.testing import tiny_card

MODELS = Path(__file__).resolve().parents[1] / "goldens" / "models"
NAMES = ("float32.tflite", "int8.tflite", "float32.onnx")
EACH = 100


def flip_a_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.choice([-10, len(data) // 2, rng.randrange(len(data))]) :]


def swap_bytes(data: bytearray, rng: random.Random) -> None:
    first, second = rng.randrange(len(data)), rng.randrange(len(data))
    data[first], data[second] = data[second], data[first]


def insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randint(1, 40))


def remove(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 40)]


def overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    block = rng.choice([bytes, rng.randbytes])(rng.randint(1, 400))
    data[at : at + len(block)] = block


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(flip_a_bit, cut, swap_bytes, insert, remove, overwrite),
)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes a model file with a card; a runtime that is opened on it fails the test."""

    def opened(*_: object) -> None:
        pytest.fail("a runtime was opened on a damaged file")

    monkeypatch.setattr(TfliteInterpreter, "__init__", opened)
    monkeypatch.setattr(OnnxInterpreter, "__init__", opened)
    card = tiny_card(("calm", "angry", "sad"))
    return lambda name: write_model(tmp_path / name, (MODELS / name).read_bytes(), card).path


def refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        edge_ser.load_model(path)
    message = str(caught.value)
    assert caught.value.exit_code == ExitCode.MODEL
    assert message.startswith(str(path))
    assert "\n" not in message


@pytest.mark.parametrize("name", NAMES)
def test_random_damage_is_refused(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    whole = path.read_bytes()
    rng = random.Random(f"damage {name}")
    done = 0
    while done < EACH:
        data = bytearray(whole)
        DAMAGES[done % len(DAMAGES)](data, rng)
        if data != whole:
            refused(path, bytes(data))
            done += 1


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_anywhere_is_refused(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    whole = path.read_bytes()
    rng = random.Random(f"bits {name}")
    # Every byte of marker, card and archive; the weights between are all alike to a hash.
    end_of_front, start_of_end = 256, len(whole) - 2000
    for at in range(len(whole)):
        if end_of_front < at < start_of_end and at % 29:
            continue
        data = bytearray(whole)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(ModelError):
            read_model(path)


@pytest.mark.parametrize("name", NAMES)
def test_something_appended_is_refused(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    whole = path.read_bytes()
    for more in (b"\0", b"\n", whole, b"PK\x05\x06" + bytes(18)):
        refused(path, whole + more)


@pytest.mark.parametrize("name", NAMES)
def test_the_undamaged_file_reaches_the_runtime(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    with pytest.raises(pytest.fail.Exception, match="a runtime was opened"):
        edge_ser.load_model(path)
