"""``-completion=SHELL``: what bash, zsh and fish complete, out of the tables of flags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from bmnetu.command_line.flags import Flag
from bmnetu.command_line.kinds import BOOLEAN, SWITCH

Table = Mapping[str, Mapping[str, Sequence[Flag]]]
"""The flags of each tool by subcommand; "" has those of the tool itself."""
FILE_WORDS = ("PATH", "FILE", "FOLDER")
LONGEST_HELP = 60
LONG = ("bmnetu-model", "bmnetu-opt")
"""Tools whose flags begin with two dashes in their help."""


def script(shell: str, tools: Table) -> str:
    """The script of a shell that completes the tools' subcommands, flags and values."""
    return "\n".join(SHELLS[shell](tools)) + "\n"


def _takes_file(flag: Flag) -> bool:
    return any(word in flag.kind.word for word in FILE_WORDS)


def _several(flag: Flag) -> bool:
    """Whether it takes several of its values, with a comma between them."""
    return flag.kind.join == "," and bool(flag.kind.values)


def _spelled(flag: Flag, dashes: str) -> str:
    """A flag as the help of its tool has it, with what stands before its value."""
    if dashes == "--":
        ending = "" if flag.kind in (SWITCH, BOOLEAN) else "="
        return f"--{flag.name.replace('_', '-')}{ending}"
    return f"-{flag.name}="


def _negated(flags: Sequence[Flag], dashes: str) -> list[Flag]:
    """Those that are also taken as ``-noNAME``."""
    return [] if dashes == "--" else [f for f in flags if f.kind is BOOLEAN and not f.question]


def _help(flag: Flag) -> str:
    """The first words of a flag's help, without what means something to a shell."""
    words = re.sub(r"""['"`\[\]:$\\]""", " ", re.split(r"[.:;]( |$)", flag.help)[0])
    return " ".join(words.split())[:LONGEST_HELP]


def _lines(tools: Table) -> Iterator[tuple[str, str, str, Sequence[Flag]]]:
    """(tool, subcommand, dashes, flags)."""
    for tool, subcommands in tools.items():
        for name, flags in subcommands.items():
            yield tool, name, "--" if tool in LONG else "-", flags


_BASH = """\
_bmnetu() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} flag=
    local key=${COMP_WORDS[0]##*/}
    local subcommands=${_bmnetu_subcommands[$key]}
    if [[ $COMP_CWORD -gt 1 && " $subcommands " == *" ${COMP_WORDS[1]} "* ]]; then
        key="$key ${COMP_WORDS[1]}" subcommands=
    fi
    if [[ $cur == = ]]; then flag=$prev cur=
    elif [[ $prev == = ]]; then flag=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $prev == -* && $cur != -* ]]; then flag=$prev; fi
    flag=${flag//_/-}
    local values=${_bmnetu_values["$key ${flag##*(-)}"]} before=
    if [[ $values == ,* && $cur == *,* ]]; then before=${cur%,*}, cur=${cur##*,}; fi
    values=${values#,}
    if [[ $flag == -* && $values == @ ]] || [[ $flag != -* && $cur != -* && -z $subcommands ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ $flag == -* && -n $values ]]; then
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "$values" -- "$cur")
    elif [[ $cur == -* ]]; then
        compopt -o nospace 2>/dev/null
        local flags=${_bmnetu_flags[$key]}
        if [[ $flags != --* ]]; then cur=-${cur##*(-)}; fi
        if [[ $cur == -no* ]]; then flags+=" ${_bmnetu_negated[$key]}"; fi
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$subcommands" -- "$cur"; compgen -f -- "$cur")
    fi
}"""


def _bash(tools: Table) -> Iterator[str]:
    yield "# bash 4 or later: source this file, or put it into bash-completion's folder."
    yield "shopt -s extglob"
    yield "declare -gA _bmnetu_subcommands _bmnetu_flags _bmnetu_negated _bmnetu_values"
    for tool, subcommands in tools.items():
        yield f"_bmnetu_subcommands[{tool}]='{' '.join(name for name in subcommands if name)}'"
    for tool, name, dashes, flags in _lines(tools):
        key = f"{tool} {name}".strip()
        names = " ".join(_spelled(flag, dashes) for flag in flags)
        yield f"_bmnetu_flags['{key}']='{names}'"
        negated = " ".join(f"-no{flag.name}" for flag in _negated(flags, dashes))
        yield f"_bmnetu_negated['{key}']='{negated}'"
        for flag in flags:
            values = "@" if _takes_file(flag) else " ".join(flag.kind.values)
            several = "," if _several(flag) else ""
            for spelling in filter(None, (flag.name, flag.alias) if values else ()):
                spelling = spelling.replace("_", "-")
                yield f"_bmnetu_values['{key} {spelling}']='{several}{values}'"
    yield _BASH
    yield f"complete -F _bmnetu {' '.join(tools)}"


def _zsh(tools: Table) -> Iterator[str]:
    yield f"#compdef {' '.join(tools)}"
    yield "_bmnetu() {"
    yield "    local key=$service"
    yield "    local -a negated"
    for tool, subcommands in tools.items():
        names = "|".join(name for name in subcommands if name)
        if names:
            yield f"    [[ $service == {tool} && $words[2] == ({names}) ]] &&"
            yield '        key="$key $words[2]"'
    yield '    case "$key" in'
    for tool, name, dashes, flags in _lines(tools):
        yield f"    '{f'{tool} {name}'.strip()}')"
        negated = " ".join(f"'-no{flag.name}'" for flag in _negated(flags, dashes))
        if negated:
            yield f"        [[ $PREFIX == -no* ]] && negated=({negated})"
        yield "        _arguments $negated \\"
        for flag in flags:
            choices = " ".join(flag.kind.values)
            action = "_files" if _takes_file(flag) else f"({choices})"
            action = f"_values -s , {flag.name} {choices}" if _several(flag) else action
            spelled = _spelled(flag, dashes)
            value = f":{flag.name}:{action}" if spelled.endswith("=") else ""
            yield f"        '{spelled}[{_help(flag)}]{value}' \\"
        names = [other for other in tools[tool] if other and not name]
        first = f"'1:subcommand:({' '.join(names)})' " if names else ""
        yield f"        {first}'*:file:_files' ;;"
    yield "    esac"
    yield "}"
    yield '_bmnetu "$@"'


def _fish(tools: Table) -> Iterator[str]:
    for tool, name, dashes, flags in _lines(tools):
        option = "-l" if dashes == "--" else "-o"
        names = [other for other in tools[tool] if other]
        if not name and names:
            yield f"complete -c {tool} -n __fish_use_subcommand -a '{' '.join(names)}'"
        seen = f"__fish_seen_subcommand_from {name}" if name else (
            "__fish_use_subcommand" if names else "true")
        for flag in flags:
            choices = " ".join(flag.kind.values)
            values = f"-x -a '{choices}'" if choices else "-x"
            if _several(flag):
                values = f"""-x -a '(__fish_complete_list , "printf %s\\\\n {choices}")'"""
            values = "-r -F" if _takes_file(flag) else values
            spelled = _spelled(flag, dashes).lstrip("-")
            values = f" {values}" if spelled.endswith("=") else ""
            named = f"{option} {spelled.removesuffix('=')}{values}"
            yield f"complete -c {tool} -n '{seen}' {named} -d '{_help(flag)}'"
        for flag in _negated(flags, dashes):
            yield (f"complete -c {tool} -n '{seen}; and string match -q -- \"-no*\""
                   f" (commandline -ct)' -o no{flag.name}")


SHELLS: Mapping[str, Callable[[Table], Iterator[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
