"""Run folders: the file names and formats of one condition (`docs/design.md`, contracts 1, 3 and 4).

    runs/<task>/<label>-<signature>/
        condition.yaml              resolved condition, its signature, the format, the version that wrote it
        networks/<seed>.safetensors a finished network: initial, converged, settled weights; history; status
        snapshots/<seed>-<epoch>.safetensors  optional: weights after an epoch, and the history up to it
        checkpoint.safetensors      the networks in training, at the end of an epoch
        manifest.json               training sessions: versions, git commit, device, costs
        claim                       lock of the process that trains here
        retraining/                 networks that are trained again for their snapshots
        shares/<first>-<last>/      checkpoint, manifest and lock of a shard: a process that trains some seeds

A network is finished if its file exists. No file is unpickled.
"""

from degen.storage.condition_file import FORMAT
from degen.storage.paths import RunPaths
from degen.storage.run_folder import RunFolder

__all__ = ["FORMAT", "RunFolder", "RunPaths"]
