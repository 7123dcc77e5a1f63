"""MediaPipe's task bundles of a public package: each model in them is found and read."""

from __future__ import annotations

import pytest

from service.config import Limits
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.registry import load_readers
from service.source import FileSource, Meter
from service.tree import Model
from service.worker.searching import search
from tests.packages.fetch import Shipped, fetch, manifest

FILES = manifest("tflite_bundles")
MODELS = {
    "face_landmarker.task": {"face_blendshapes.tflite", "face_detector.tflite", "face_landmarks_detector.tflite"},
    "gesture_recognizer.task": {
        "hand_gesture_recognizer.task!/canned_gesture_classifier.tflite",
        "hand_gesture_recognizer.task!/gesture_embedder.tflite",
        "hand_landmarker.task!/hand_detector.tflite",
        "hand_landmarker.task!/hand_landmarks_detector.tflite",
    },
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.id)
def test_every_model_of_a_bundle_is_read(file: Shipped) -> None:
    """Those in a bundle within the bundle too; padding before the first member is none of them."""
    with fetch(file).open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        models = {one.path: one.reader.read(one.upload) for one in search(upload, load_readers()).found}
    assert models.keys() == MODELS[file.path.rpartition("/")[2]]
    totals = [enrich(model).totals for model in models.values() if isinstance(model, Model)]
    assert sum(one.parameters or 0 for one in totals if one) == file.elements
