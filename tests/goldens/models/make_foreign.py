"""Make foreign.tflite, with the TFLite Metadata of an audio classifier, by Google's own writer.

Needs an environment of its own: `pip install tflite-support 'numpy<2'` (made with 0.4.4). The
model inside is float32.tflite of this folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tflite_support.metadata_writers import audio_classifier, metadata_info

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write foreign.tflite."""
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels.txt"
        labels.write_text("calm\nangry\nsad\n")
        general = metadata_info.GeneralMd(
            name="Foreign", description="A model of others", author="Somebody", licenses="CC0-1.0"
        )
        sound = metadata_info.InputAudioTensorMd(
            name="audio", description="", sample_rate=16_000, channels=1
        )
        scores = metadata_info.ClassificationTensorMd(
            name="scores",
            label_files=[metadata_info.LabelFileMd(str(labels))],
            tensor_type=0,
        )
        writer = audio_classifier.MetadataWriter.create_from_metadata_info_for_multihead(
            bytearray((HERE / "float32.tflite").read_bytes()),
            general_md=general,
            input_md=sound,
            output_md_list=[scores],
        )
        (HERE / "foreign.tflite").write_bytes(writer.populate())


if __name__ == "__main__":
    main()
