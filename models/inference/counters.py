"""What an engine has done: a warm job's report shows that it only swapped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Work since the engine was loaded; a warm swap leaves all but `swap_passes` alone.

    `recognition_passes` are runs of the encoder that tell the people of a video apart;
    `encoder_passes` those that register someone.
    """

    # Counted because they cost: a job's report and the metrics say how often each ran.
    encoder_passes: int = 0
    recognition_passes: int = 0
    iim_passes: int = 0
    swap_passes: int = 0
    models_loaded: int = 0
    sessions_created: int = 0
