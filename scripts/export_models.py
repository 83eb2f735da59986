"""Build committed model files from the run folders of their trainings.

    python scripts/export_models.py RUNS [NAME ...] [--models models] [--allow-unfinished]

RUNS is the folder that holds the folders of models/zoo.toml (EDGE_SER_RUNS of the trainings); NAME
is a model there, all without. Corpora are looked for in EDGE_SER_DATA. Every file is compared with
its network on real clips before it is kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_ser.corpora import read_corpus
from edge_ser.errors import EdgeSerError, UsageError
from edge_ser.lab.zoo_files import export_shipped, read_zoo

MODELS = Path(__file__).resolve().parents[1] / "models"


def main() -> int:
    """Write the files and print their names and sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--allow-unfinished", action="store_true", help="a rehearsal")
    given = parser.parse_args()
    try:
        zoo = {shipped.name: shipped for shipped in read_zoo(MODELS / "zoo.toml")}
        for name in given.names or zoo:
            if name not in zoo:
                raise UsageError(f"no model {name!r} in zoo.toml, expected {', '.join(zoo)}")
            corpus = read_corpus(zoo[name].corpus)
            for path in export_shipped(
                zoo[name], given.runs, corpus, given.models, given.allow_unfinished
            ):
                print(f"{path.stat().st_size:9} {path}", flush=True)
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
