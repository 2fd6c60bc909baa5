"""Which process works on a run, so that another process can tell when it died.

Out of scope: what to do about dead runs (`orchestration.instance`).
"""

import platform

import psutil

PROCESS_TAG = "graindex/process"


def process_tag(run_id: str) -> str:
    """This process of this machine at work on a run.

    The run is part of it because a run that is executed again copies the tags of the first.
    """
    process = psutil.Process()
    return f"{run_id} {platform.node()} {process.pid} {process.create_time():.2f}"


def is_dead(run_id: str, tag: str) -> bool:
    """Whether the process at work on a run is gone; False where this machine cannot tell."""
    tagged, machine, pid, created = tag.split(" ")
    if (tagged, machine) != (run_id, platform.node()):
        return False
    try:
        process = psutil.Process(int(pid))
        # A killed process that nobody waited for keeps its number.
        gone = process.status() == psutil.STATUS_ZOMBIE
        return gone or f"{process.create_time():.2f}" != created
    except psutil.NoSuchProcess:
        return True
