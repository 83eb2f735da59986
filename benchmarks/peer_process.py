"""One way from a file to its label, as a process that answers: a worker of `edge_ser.bench.peers`.

    python -m edge_ser.benchmarks.peer_process SETUP

SETUP is JSON: `network`, `model` (file), `keras` (file or null), `resampler` of librosa, `provider`
of ours. A line `{"ready": true, "untrained": false}` on standard output, then for every line on
standard input, a path as a JSON string, `{"ms": {stage: milliseconds}, "label": text}`.

Networks: `edge-ser` is this package from file to label. All others hear what `librosa.load` and
`librosa.feature.mfcc` make of the file: `eager`, `predict` and `graph` are Keras called directly,
by `model.predict`, and as a compiled graph; `tflite` and `onnx` are the runtimes with the settings
that edge-ser uses. The features are those of the model's card, without conditioning of bandwidth
and level, which nobody else has.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import load_model
from edge_ser.audio import fit
from edge_ser.card import ModelCard, read_model
from edge_ser.classifier.prediction import Stopwatch
from edge_ser.errors import EdgeSerError, ModelError
from edge_ser.frontend import FrontendSpec
from edge_ser.runtime import open_model

__all__ = ["main"]

Array = NDArray[Any]
Setup = Mapping[str, Any]
Network = Callable[[Array], Array]
Classify = Callable[[str], tuple[dict[str, float], str]]

SEED = 42
"""Of untrained weights: that of `edge_ser.lab.jobs.export_untrained`."""


def ours(setup: Setup) -> Classify:
    """Path to stages and label by this package."""
    model = load_model(setup["model"], setup["provider"], allow_untrained=True)

    def classify(path: str) -> tuple[dict[str, float], str]:
        prediction = model.crop(path)
        return prediction.timings, prediction.label

    return classify


def elsewhere(network: Network, card: ModelCard, resampler: str) -> Classify:
    """Path to stages and label by librosa and a network."""
    import librosa

    wanted, (spec,) = card.input, card.frontend

    def classify(path: str) -> tuple[dict[str, float], str]:
        watch = Stopwatch()
        # The two halves of librosa.load(path, sr=rate, res_type=resampler).
        samples, rate = librosa.load(path, sr=None)
        watch.lap("load")
        samples = librosa.resample(samples, orig_sr=rate, target_sr=spec.rate, res_type=resampler)
        watch.lap("resample")
        features = by_librosa(spec, fit(samples, wanted.clip_samples, wanted.pad_side))
        watch.lap("frontend")
        scores = network(features)
        watch.lap("model")
        label = card.labels[int(np.argmax(scores))]
        watch.lap("post")
        return watch.total(), label

    return classify


def by_librosa(spec: FrontendSpec, samples: Array) -> Array:
    """Features, by the calls that `librosa.feature.mfcc` is made of: its own has no log floor."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=samples * np.float32(spec.sample_scale) if spec.sample_scale != 1 else samples,
        sr=spec.rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        win_length=spec.win_length,
        window={"rectangular": "boxcar"}.get(spec.window, spec.window),
        center=spec.centre,
        pad_mode=spec.pad_mode,
        n_mels=spec.n_mels,
        fmin=spec.fmin,
        fmax=spec.fmax,
        htk=spec.mel_scale == "htk",
        norm="slaney" if spec.mel_norm == "slaney" else None,
    )
    features = librosa.power_to_db(mel, ref=1.0, amin=spec.log_floor, top_db=spec.top_db)
    if spec.kind == "mfcc":
        norm = "ortho" if spec.dct_norm == "ortho" else None
        features = librosa.feature.mfcc(
            S=features, n_mfcc=spec.n_mfcc, norm=norm, lifter=spec.lifter
        )
    turned: Array = features.T if spec.layout == "time_first" else features
    return turned


def runtime(setup: Setup, card: ModelCard) -> Network:
    """LiteRT or ONNX Runtime, whichever the file is for."""
    interpreter = open_model(read_model(setup["model"]).payload)
    name = card.output.scores or interpreter.outputs[0].name
    return lambda features: interpreter.run([features])[name]


def keras_network(setup: Setup, model: Any) -> Network:
    """A Keras model, called as `network` says."""
    shape = (1, *model.inputs[0].shape[1:])

    def eager(features: Array) -> Any:
        return model(features, training=False)

    def predict(features: Array) -> Any:
        return model.predict(features, verbose=0)

    call = {"eager": eager, "predict": predict, "graph": eager}[setup["network"]]
    if setup["network"] == "graph":
        import tensorflow

        call = tensorflow.function(eager)
    return lambda features: np.asarray(call(features.reshape(shape)))


def keras_model(setup: Setup, card: ModelCard) -> Any:
    """The model of the file that was given, or the architecture that the card names, untrained.

    Raises:
        ModelError: the file cannot be loaded, or the card names no architecture of ours.
    """
    if setup["keras"] is not None:
        from edge_ser.lab.export import load_keras

        return load_keras(Path(setup["keras"]))
    from edge_ser.lab.architectures import build, network, networks
    from edge_ser.lab.architectures.capsules import SHAPE

    ours = [name for name, row in networks().items() if row.kind.framework == "keras"]
    named = [name for name in ours if f"{card.name}-".startswith(f"{name}-")]
    if not named:
        raise ModelError(
            f"no Keras weights of {card.name} are here, and it is none of {', '.join(ours)}: "
            "give the network with --keras FILE"
        )
    return build(network(max(named, key=len)), len(card.labels), SHAPE, SEED)


def prepared(setup: Setup) -> tuple[Classify, bool]:
    """What to do with a path, and whether that has untrained weights instead of the model's."""
    if setup["network"] == "edge-ser":
        return ours(setup), False
    card = read_model(setup["model"]).card
    if setup["network"] in ("tflite", "onnx"):
        return elsewhere(runtime(setup, card), card, setup["resampler"]), False
    network = keras_network(setup, keras_model(setup, card))
    return elsewhere(network, card, setup["resampler"]), setup["keras"] is None


def stay_on_one_core() -> None:
    """All threads to the last core that this process may use: interrupts keep to the first.

    Called when libraries are loaded, which all cores may help with. Later threads inherit it.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    core = {max(os.sched_getaffinity(0))}
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), core)


def main() -> int:
    """Get ready, then answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print is no answer
    setup = json.loads(sys.argv[1])
    try:
        classify, untrained = prepared(setup)
        stay_on_one_core()
        print(json.dumps({"ready": True, "untrained": untrained}), file=answers, flush=True)
        for line in sys.stdin:
            path = json.loads(line)
            start = time.perf_counter()
            stages, label = classify(path)
            stages = {**stages, "total": (time.perf_counter() - start) * 1000}
            print(json.dumps({"ms": stages, "label": label}), file=answers, flush=True)
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
