"""Compare networks from files: distances within and between groups, and tests of differences.

Each folder is a group, with one file per network or recording:

    .npz, .safetensors, .h5, .hdf5   hidden (trials, time, units); optional: recurrent (units, units), loss
    .pt, .pth, .safetensors          state_dict of nn.RNN, nn.GRU or nn.LSTM, run on the trials of --inputs

Examples:
    degen compare gru/ tanh/
    degen compare gru/ tanh/ --inputs trials.npz --out report.html
    degen compare models/ recordings/ --metrics dsa

docs/compare.md explains metrics, files and output.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from degen.comparison import METRICS, compare_networks, read_folder
from degen.comparison.compare import require_metrics
from degen.comparison.files import read_inputs
from degen.errors import require
from launch.cli import exit_on_user_error


def main() -> None:
    """Run the command line."""
    options = _parser().parse_args()
    with exit_on_user_error():
        compare_folders(options)


def compare_folders(options: argparse.Namespace) -> None:
    """Compare the networks of folders, print the tables and write the report.

    Args:
        options: options of the command line.

    Raises:
        BadInputError: a file or an option is not allowed.
    """
    if options.out is not None:
        is_file = options.out.parent.is_dir() and not options.out.is_dir()
        require(is_file, "--out", str(options.out), "a file in an existing folder")
    metrics = None if options.metrics is None else [name.strip() for name in options.metrics.split(",")]
    require_metrics(metrics)
    inputs = None if options.inputs is None else read_inputs(options.inputs)
    names = _group_names(options.folders)
    networks = []
    for name, folder in zip(names, options.folders, strict=True):
        group = read_folder(folder, inputs=inputs, nonlinearity=options.nonlinearity, group=name)
        print(f"{name}: {len(group)} network{'s' * (len(group) != 1)}", flush=True)
        networks += group
    if inputs is not None:
        # Networks of other trials, such as recordings, have none. Inputs that no network has are a mistake.
        is_used = any(network.inputs is not None for network in networks)
        allowed = f"{tuple(networks[0].hidden.shape[:2])}, as of {networks[0].name}"
        require(is_used, f"trials and time steps of {options.inputs}", tuple(inputs.shape[:2]), allowed)
    result = compare_networks(networks, metrics=metrics, seed=options.seed)
    print(f"\n{result}")
    if options.out is not None:
        print(f"\nreport: {result.report(options.out)}")


def _group_names(folders: list[Path]) -> list[str]:
    """Return the name of each folder, or its path if two folders have one name."""
    resolved = [folder.resolve() for folder in folders]
    require(len(set(resolved)) == len(resolved), "folders", list(map(str, folders)), "different folders")
    names = [folder.name for folder in resolved]
    return names if len(set(names)) == len(names) else list(map(str, folders))


def _parser() -> argparse.ArgumentParser:
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="degen compare", description=__doc__, formatter_class=text)
    add = parser.add_argument
    add("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of a group of networks")
    add("--metrics", metavar="NAMES", help=f"some of {','.join(METRICS)} (default: all that the files allow)")
    add("--inputs", metavar="FILE", help="file with the entry inputs (trials, time, inputs)")
    add("--nonlinearity", default="tanh", help="of nn.RNN in a state_dict: tanh (default) or relu")
    add("--seed", type=int, default=0, help="seed of initializations and permutations (default 0)")
    add("--out", type=Path, metavar="FILE", help="write a report (HTML)")
    return parser


if __name__ == "__main__":
    main()
