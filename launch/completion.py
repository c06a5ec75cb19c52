"""Print a script that makes bash complete `degen`: commands, configuration groups and fields.

Examples:
    eval "$(degen completion)"                      # in this shell
    degen completion > ~/.local/share/bash-completion/completions/degen     # in every later shell
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from launch.paths import CONF

CONFIGS = {
    "train": "train",
    "submit": "train",
    "status": "train",
    "cancel": "train",
    "analyze": "analyze",
    "report": "paper",
}
"""Name of the configuration whose fields each command completes."""

# Hydra's script takes the name of a command for one word, and changes how bash splits words everywhere.
SCRIPT = r"""_degen() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n'
    local word=${line##* }
    COMPREPLY=($(compgen -W "$(COMP_LINE=$line "${COMP_WORDS[0]}" completion --query)" -- "$word"))
    # Bash replaces what stands behind the last "=" only.
    if [[ $COMP_WORDBREAKS == *=* ]]; then COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}"); fi
    if [[ ${COMPREPLY[0]} == *[=./] ]]; then compopt -o nospace; fi
}
complete -o default -F _degen degen"""


def main() -> None:
    """Print the script, or for the script what may stand at the end of the line in COMP_LINE."""
    if sys.argv[1:] == ["--query"]:
        print("\n".join(completions(os.environ["COMP_LINE"])))
    elif sys.argv[1:]:
        print((__doc__ or "").strip())
        sys.exit(0 if {"--help", "-h"} & set(sys.argv[1:]) else 2)
    else:
        print(SCRIPT)


def completions(line: str) -> list[str]:
    """Return the words that may replace the last word of a command line.

    Examples:
        >>> completions("degen st")
        ['status']
        >>> completions("degen train parameterization=s")
        ['parameterization=softplus', 'parameterization=standard']
    """
    *given, word = line.split(" ")
    given = [text for text in given if text]
    if len(given) < 2:
        return [command for command in (*CONFIGS, "compare", "completion") if command.startswith(word)]
    if given[1] not in CONFIGS or word.startswith("-"):
        return []
    search_path = create_config_search_path(str(CONF))
    for option, folder in itertools.pairwise(given):
        if option in ("--config-dir", "-cd"):
            search_path.prepend("command line", f"file://{Path(folder).absolute()}")
    # The group's files say enough of width and gamma. Other numbers need plugins that import torch.
    overrides = [text for text in given if "=" in text and not text.startswith(("-", "width=", "gamma="))]
    plugin = BashCompletion(ConfigLoaderImpl(search_path))
    try:
        return plugin._query(CONFIGS[given[1]], " ".join(["hydra.searchpath=[]", *overrides, word]))
    except (HydraException, OmegaConfBaseException):
        return []  # the line so far has an error, which the command will report
