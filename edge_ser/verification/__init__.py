"""What `edge-ser verify` does: is a file still the model that was exported, and does it compute
the same here?

`verify` checks the hashes and runs the card's goldens; `compare_with_reference` puts our features
beside those of the library that made them in training, on the user's own files.
"""

from __future__ import annotations

from edge_ser.verification.goldens import STAGES, verify
from edge_ser.verification.libraries import reference_library
from edge_ser.verification.reference import TOLERANCES, compare_with_reference
from edge_ser.verification.results import ReferenceReport, StageResult, Verification

__all__ = [
    "STAGES",
    "TOLERANCES",
    "ReferenceReport",
    "StageResult",
    "Verification",
    "compare_with_reference",
    "reference_library",
    "verify",
]
