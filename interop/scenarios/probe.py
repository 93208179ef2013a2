"""ffprobe's opinion of a recorded program stream."""

import json
import subprocess
from pathlib import Path

from interop.sim.picture import HEIGHT, WIDTH


def probe(stream: Path) -> int:
    """How many pictures ffprobe decodes of it. It must be H.264 of our size, and nothing may be wrong."""
    command = ["ffprobe", "-v", "error", "-f", "mpeg", "-count_frames", "-show_streams", "-of", "json"]
    done = subprocess.run([*command, str(stream)], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    (video,) = json.loads(done.stdout)["streams"]
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", WIDTH, HEIGHT)
    return int(video["nb_read_frames"])
