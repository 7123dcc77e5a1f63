"""What TensorFlow's generated schema says of model files, under the Keras interpreter: `tflite_answers.py FILE ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.factory.keras_tflite import facts

if __name__ == "__main__":
    print(json.dumps({path: facts(Path(path).read_bytes()) for path in sys.argv[1:]}))
