"""Labelled speech: known corpora, folders and manifests as lists of utterances."""

from __future__ import annotations

from edge_ser.corpora.folders import read_folders
from edge_ser.corpora.iemocap import read_iemocap
from edge_ser.corpora.known import (
    EMODB_LABELS,
    NAMED,
    read_emodb,
    read_emovo,
    read_ravdess,
    read_speech_commands,
    speech_commands_split,
)
from edge_ser.corpora.manifest import read_manifest
from edge_ser.corpora.reading import READERS, read_corpus, recognised
from edge_ser.corpora.utterances import Corpus, Utterance

__all__ = [
    "EMODB_LABELS",
    "NAMED",
    "READERS",
    "Corpus",
    "Utterance",
    "read_corpus",
    "read_emodb",
    "read_emovo",
    "read_folders",
    "read_iemocap",
    "read_manifest",
    "read_ravdess",
    "read_speech_commands",
    "recognised",
    "speech_commands_split",
]
