"""The scorers on transformers 4, which many installations still have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.skipif("TRANSFORMERS_4" not in os.environ, reason="dev.py brings transformers 4 only with a ComfyUI of its own")
def test_every_definition_holds_on_transformers_4():
    environment = {**os.environ, "PYTHONPATH": os.environ["TRANSFORMERS_4"]}
    version = subprocess.check_output(
        [sys.executable, "-c", "import transformers; print(transformers.__version__)"], env=environment, text=True
    )
    assert version.startswith("4.57.")
    tests = [HERE / name for name in ("test_definitions.py", "test_preprocess.py", "test_scorers.py", "test_bad_weights.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
