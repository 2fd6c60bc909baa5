import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def run(script: str) -> str:
    """Standard output of a script in a fresh process: torch's operators last as long as it."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_imports_after_declaring_twice():
    script = """
from models.encode.torchvision_ops import declare_missing_operators
assert declare_missing_operators() is declare_missing_operators()
import torch, torchvision
print(hasattr(torch.ops.torchvision, "nms"), hasattr(torch.ops.torchvision, "qnms"))
"""
    assert run(script) == "True True"


def test_operators_that_exist_are_left_alone():
    script = """
import torch
lib = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    lib.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
lib.impl("nms", lambda dets, scores, iou_threshold: scores + 1, "CPU")
from models.encode.torchvision_ops import declare_missing_operators
print(declare_missing_operators())
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.ones(1), 0.5).item())
"""
    assert run(script).split() == ["None", "2.0"]
