"""What a newcomer meets before anything of ours runs."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_machine_without_rust_gets_one_clear_sentence(tmp_path: Path) -> None:
    for program in ("bash", "make"):
        found = shutil.which(program)
        assert found is not None
        (tmp_path / program).symlink_to(found)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [str(tmp_path / "make"), "--old-file=.tools/bin/uv", "ready"],
        cwd=ROOT,
        env={**environment, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    sentence, *_ = done.stderr.splitlines()
    assert "found no Rust" in sentence
    assert "Install Rust" in sentence
    assert "make wheel" in sentence
