"""Write the tables of `benchmarks/results/*.json` into `benchmarks/README.md`.

python benchmarks/results_table.py            # write them
python benchmarks/results_table.py --check    # exit with 1 where they are out of date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_ser.bench.results import inserted, read_results, tables
from edge_ser.errors import EdgeSerError

HERE = Path(__file__).resolve().parent


def updated(page: Path = HERE / "README.md", folder: Path = HERE / "results") -> str:
    """The page as it should be."""
    return inserted(page.read_text(encoding="utf-8"), tables(read_results(folder)))


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if stale")
    arguments = parser.parse_args()
    page = HERE / "README.md"
    try:
        text = updated()
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    if arguments.check:
        stale = text != page.read_text(encoding="utf-8")
        print(f"{page.name} is {'out of date: run this without --check' if stale else 'in order'}")
        return int(stale)
    page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
