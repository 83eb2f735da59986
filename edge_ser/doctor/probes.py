"""Script that tries one library: `python probes.py NAME [ARGUMENT]`. Imports nothing of edge_ser.

It prints one JSON line and ends with status 0 when the library worked. Anything else, a signal
included, is a failure that `outcome` describes: that is why this is a process of its own.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

__all__ = ["PROBES", "main"]

# The smallest models that do arithmetic: y = 2 x for x of shape (1, 4), float32, as one
# FULLY_CONNECTED (TFLite, version 1) and one MatMul (ONNX, opset 13). zlib, then base64.
TFLITE_MODEL = (
    "eNqNUDEOwjAMvNJQtaKqOnToP+ABTEyMDAwMCAmJDYSQChIP4BE8gh+Gs+uQwoSjk+3LObbTAlgtllOgQosGNUrk"
    "cMzADLgQd+KRACn9iNgQJcQy1WaMHDFXLrgv+5t7eu/HDE7n425Pz7acSfrF2Urj1jbL1nSNPlGpF+1ksActry12"
    "evoa2Se15pKzvQ98YrzcH4iZ7fmiJrc/EM1toHfK13oXZg264DvTu49e9oJmfV3UXn/ejv8h+8Waoh+1eAP5nhfU"
)
ONNX_MODEL = (
    "eNrjYLfqZeQS5GKs4GIsF2KsVGLzTSzxLc0RYizQ8uZg4WARYHRiLPdyYGBgAGF0QLRYlDDQCiE+Lh4ORiEOLiYO"
    "RiBmSQIKVqILOrFwMQjwAgB8XAvD"
)


def main(arguments: list[str]) -> None:
    """Run the probe that `arguments` name and print what it found."""
    print(json.dumps(PROBES[arguments[0]](*arguments[1:])))


def _model(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _check(result: Any) -> None:
    if result.tolist() != [[2.0, 4.0, 6.0, 8.0]]:
        raise ArithmeticError(f"2 x [1, 2, 3, 4] came out as {result.tolist()}")


def _vector() -> Any:
    return import_module("numpy").array([[1, 2, 3, 4]], dtype="float32")


def _tflite(module: str, path: str = "") -> dict[str, Any]:
    make = attrgetter(path + "Interpreter")(import_module(module))
    interpreter = make(model_content=_model(TFLITE_MODEL), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], _vector())
    interpreter.invoke()
    _check(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return {"version": _version(module.partition(".")[0])}


def _onnxruntime(provider: str = "CPUExecutionProvider") -> dict[str, Any]:
    """ONNX Runtime takes the CPU without an error when a provider does not load: `used` tells."""
    runtime = import_module("onnxruntime")
    session = runtime.InferenceSession(_model(ONNX_MODEL), providers=[provider])
    _check(session.run(None, {"x": _vector()})[0])
    return {
        "version": _version("onnxruntime"),
        "available": runtime.get_available_providers(),
        "used": session.get_providers(),
    }


def _soundfile() -> dict[str, Any]:
    soundfile = import_module("soundfile")
    file = io.BytesIO()
    soundfile.write(file, [0.0, 0.5, -0.5], 16_000, format="FLAC")
    file.seek(0)
    samples, rate = soundfile.read(file)
    if (samples.tolist(), rate) != ([0.0, 0.5, -0.5], 16_000):
        raise ArithmeticError(f"a FLAC file came back as {samples.tolist()} at {rate} Hz")
    return {
        "version": soundfile.__version__,
        "library": soundfile.__libsndfile_version__,
        "formats": sorted(soundfile.available_formats()),
    }


def _soxr() -> dict[str, Any]:
    soxr = import_module("soxr")
    resampled = soxr.resample(import_module("numpy").zeros(480, "float32"), 48_000, 16_000)
    if resampled.shape != (160,):
        raise ArithmeticError(f"480 samples at 48 kHz became {resampled.shape} at 16 kHz")
    return {"version": soxr.__version__, "library": soxr.__libsoxr_version__}


def _sounddevice() -> dict[str, Any]:
    """Versions, and the microphones; PortAudio's backends may write much on standard error."""
    sounddevice = import_module("sounddevice")
    default = sounddevice.default.device[0]
    apis = [api["name"] for api in sounddevice.query_hostapis()]
    return {
        "version": sounddevice.__version__,
        "library": sounddevice.get_portaudio_version()[1],
        "microphones": [
            {
                "name": device["name"],
                "api": apis[device["hostapi"]],
                "channels": device["max_input_channels"],
                "rate": device["default_samplerate"],
                "default": device["index"] == default,
                "opens": "(hw:" in device["name"] or _opens(sounddevice, device),
            }
            for device in sounddevice.query_devices()
            if device["max_input_channels"] > 0
        ],
    }


def _opens(sounddevice: Any, device: Mapping[str, Any]) -> bool:
    """Whether a sound server has a source to give: it is listed without one, too."""
    try:
        sounddevice.check_input_settings(
            device=device["index"], channels=1, samplerate=device["default_samplerate"]
        )
    except sounddevice.PortAudioError:
        return False
    return True


def _version(package: str) -> str:
    return str(getattr(import_module(package), "__version__", ""))


PROBES: Mapping[str, Callable[..., dict[str, Any]]] = {
    "ai_edge_litert": lambda: _tflite("ai_edge_litert.interpreter"),
    "tflite_runtime": lambda: _tflite("tflite_runtime.interpreter"),
    "tensorflow": lambda: _tflite("tensorflow", "lite."),
    "onnxruntime": _onnxruntime,
    "soundfile": _soundfile,
    "soxr": _soxr,
    "sounddevice": _sounddevice,
}


if __name__ == "__main__":
    main(sys.argv[1:])
