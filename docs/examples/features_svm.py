"""Features of a trained network, reused by two other classifiers.

    python features_svm.py cnn-features-32.onnx CORPUS

MODEL is a file whose card names an output with an embedding. CORPUS is a folder, a manifest or a
known corpus whose clips are split into train and test. A support vector machine and 5 nearest
neighbours learn the labels from the embeddings of the training clips; printed are their
accuracies on the test clips. The labels may be others than the model's own. Needs scikit-learn.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edge_ser import load_model
from edge_ser.corpora import read_corpus


def main(model_file: str, corpus_name: str) -> None:
    """Train both classifiers and print their accuracies."""
    model = load_model(model_file)
    features: dict[str, Any] = {"train": [], "test": []}
    labels: dict[str, list[str]] = {"train": [], "test": []}
    for utterance in read_corpus(corpus_name).utterances:
        if utterance.split in features:
            features[utterance.split].append(model.embed(utterance.path))
            labels[utterance.split].append(utterance.label)
    if not features["train"] or not features["test"]:
        sys.exit(f"{corpus_name}: no clips to train or to test on, expected splits train and test")
    x = {split: np.stack(rows) for split, rows in features.items()}
    print(f"{x['train'].shape[1]} features; {len(x['train'])} clips train, {len(x['test'])} test")
    for name, classifier in (
        ("support vector machine", SVC(C=10.0)),
        ("5 nearest neighbours", KNeighborsClassifier(5)),
    ):
        pipeline = make_pipeline(StandardScaler(), classifier)
        pipeline.fit(x["train"], labels["train"])
        print(f"{name}: {pipeline.score(x['test'], labels['test']):.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python features_svm.py MODEL CORPUS")
    main(*sys.argv[1:])
