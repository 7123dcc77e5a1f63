"""What a person does today, timed: load the file with its framework and print the summary.

    python tests/bench/today.py keras|torch FILE ROUNDS

Prints the seconds of each round after the first import; with ROUNDS 0 it only does the work once, so that the caller
can time the whole fresh process.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time


def keras_summary(path: str) -> None:
    """`load_model(...).summary()`."""
    import keras

    keras.models.load_model(path, compile=False).summary(print_fn=lambda *_, **__: None)


def torch_summary(path: str) -> None:
    """`torch.load` and torchinfo for a module; shapes and sizes for a state_dict."""
    import torch
    import torchinfo

    loaded = torch.load(path, weights_only=False, map_location="cpu")
    with contextlib.redirect_stdout(io.StringIO()):
        if isinstance(loaded, torch.nn.Module):
            print(torchinfo.summary(loaded, verbose=0))
        else:
            for name, tensor in loaded.items():
                print(name, tuple(tensor.shape), tensor.numel())


if __name__ == "__main__":
    framework, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    work = {"keras": keras_summary, "torch": torch_summary}[framework]
    work(path)
    for _ in range(rounds):
        started = time.perf_counter()
        work(path)
        print(time.perf_counter() - started, flush=True)
