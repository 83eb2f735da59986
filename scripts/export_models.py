"""Build all committed model files of PLB from the run folders of its training.

    python scripts/export_models.py RUNS CORPUS [--models models] [--allow-unfinished]

RUNS holds whole/, grouped-01/ ... grouped-05/ and, if trained, published-01/ ...; CORPUS is the
folder of the recordings. Every file is compared with Keras on 200 real clips before it is kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_ser.corpora import read_corpus
from edge_ser.errors import EdgeSerError
from edge_ser.lab.jobs import export_shipped


def main() -> int:
    """Write the files and print their names and sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--allow-unfinished", action="store_true", help="a rehearsal")
    given = parser.parse_args()
    try:
        corpus = read_corpus(given.corpus)
        written = export_shipped(given.runs, corpus, given.models, given.allow_unfinished)
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    for path in written:
        print(f"{path.stat().st_size:9} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
