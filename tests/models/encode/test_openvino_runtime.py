"""The OpenVINO runtime is safe to use from threads that start at the same moment."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

PROCESSES = 16
# Without the warm-up in `models.encode.openvino_runtime` 5 of 12 such processes hung for ever.
FIRST_ARRAYS_AT_ONCE = """
import os, threading
import numpy as np
from models.encode.openvino_runtime import core, ov
from openvino import opset13 as op

parameter = op.parameter([1, 1, 8, 8], np.uint8)
model = ov.Model([op.relu(op.convert(parameter, "f32"))], [parameter], "tiny")
compiled = core().compile_model(model, "CPU")
go = threading.Event()

def infer(request):
    image = np.zeros((1, 1, 8, 8), np.uint8)
    go.wait()
    request.infer({0: image}, share_inputs=True)

requests = [compiled.create_infer_request() for _ in range(8)]
threads = [threading.Thread(target=infer, args=(request,)) for request in requests]
for thread in threads:
    thread.start()
go.set()
for thread in threads:
    thread.join()
os._exit(0)
"""


def test_threads_may_bring_their_first_arrays_at_once():
    def end(_: int) -> int:
        script = [sys.executable, "-c", FIRST_ARRAYS_AT_ONCE]
        return subprocess.run(script, timeout=60, check=False).returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(end, range(PROCESSES))) == [0] * PROCESSES
