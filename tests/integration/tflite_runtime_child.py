"""Run models in the environment of tflite-runtime and print what they give, as one JSON object.

Called by tests/tflite_runtime_environment and by test_runtime_real.py; needs numpy alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from edge_ser.errors import EdgeSerError
from edge_ser.runtime import open_model

GOLDENS = Path(__file__).resolve().parents[1] / "goldens" / "models"


def main() -> None:
    """Run every model named on the command line on the features of models.json."""
    recorded = json.loads((GOLDENS / "models.json").read_text())
    features = np.reshape(np.array(recorded["features"], np.float32), recorded["shape"])
    results: dict[str, object] = {}
    for path in map(Path, sys.argv[1:]):
        try:
            interpreter = open_model(path)
            outputs = interpreter.run([features])
        except EdgeSerError as error:
            results[path.name] = {"error": type(error).__name__, "message": str(error)}
            continue
        results[path.name] = {
            "details": dict(interpreter.details),
            "outputs": {name: values.ravel().tolist() for name, values in outputs.items()},
        }
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
