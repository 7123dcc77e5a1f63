"""Whether ncnn loads a model; runs under its interpreter: `ncnn_answers.py FILE.param FILE.bin`. Says True or False."""

from __future__ import annotations

import sys

import ncnn


def main(param: str, binary: str) -> None:
    """The answer for one pair."""
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    print(net.load_param(param) == 0 and net.load_model(binary) == 0)


main(*sys.argv[1:])
