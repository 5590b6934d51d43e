"""The flag tables and their parser."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS
from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.command_line.flags import Flag, check_values, parse, require_necessary
from bmnetu.command_line.help import help_text
from bmnetu.command_line.kinds import read_shapes
from bmnetu.errors import UsageError
from bmnetu.options import CalibrateOptions, CompileOptions, calibrate_options, compile_options

NAMES = st.sampled_from([flag.name for flag in COMPILE_FLAGS])
DASHES = st.sampled_from(["-", "--"])


def value(name: str, *words: str) -> Any:
    """The value of one flag after parsing these words."""
    return parse(COMPILE_FLAGS, words)[name]


@pytest.mark.parametrize(
    "words",
    [["-net_name=a"], ["--net_name=a"], ["-net_name", "a"], ["--net-name", "a"], ["-net-name=a"],
     ["-net_name=b", "-net_name=a"]],
)
def test_spellings_of_a_value(words: list[str]) -> None:
    assert value("net_name", *words) == "a"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], True), (["-cmp"], True), (["--cmp"], True), (["-nocmp"], False), (["--nocmp"], False),
        (["-cmp=0"], False), (["-cmp=1"], True), (["-cmp=false"], False), (["-cmp=False"], False),
        (["-cmp=TRUE"], True), (["-cmp", "false"], False), (["-cmp", "0"], False),
        (["-nocmp", "-cmp", "True"], True), (["-cmp", "-dyn=0"], True), (["-dyn", "-nocmp"], False),
    ],
)
def test_spellings_of_a_boolean(words: list[str], expected: bool) -> None:
    assert value("cmp", *words) is expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("-model=a/b.prototxt", Path("a/b.prototxt")), ("-model=a=b", Path("a=b")),
        ("-opt=2", 2), ("-prec=int8", "INT8"), ("-mode=genumodel", "GenUmodel"), ("-seed=42", 42),
        ("-use_wino", True), ("-nouse_wino", False), ("-max_n=4", (4,)), ("-v=4", 4),
        ("-shapes=[1,3,224,224],[1,10]", (((1, 3, 224, 224), (1, 10)),)),
        ("-shapes=[[1,3,224,224]]", (((1, 3, 224, 224),),)), ("-max_n=1,4", (1, 4)),
        ("-input_as_fp32=a, b", ("a", "b")),
        ("-output_as_fp32=", ()),
        ("-stop_after=quant", "quant"), ("-dump_ir=d", Path("d")), ("-h", True),
    ],
)
def test_values_are_typed(word: str, expected: object) -> None:
    name = {"h": "help"}.get(word.partition("=")[0].strip("-"), word.partition("=")[0].strip("-"))
    assert value(name.replace("nouse", "use"), word) == expected


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-weigth=x"], "unknown flag -weigth: did you mean -weight?"),
        (["-zzz=x"], "unknown flag -zzz: -help lists all flags"),
        (["-nomodel"], "unknown flag -nomodel: did you mean -model?"),
        (["net.prototxt"], "unexpected word 'net.prototxt'"),
        (["-cmp", "maybe"], "unexpected word 'maybe'"),
        (["-"], "unexpected word '-'"),
        (["-cmp=maybe"], "-cmp=maybe: -cmp requires 0, 1, true or false"),
        (["-nocmp=1"], "-nocmp takes no value: write -cmp=1"),
        (["-opt=3"], "-opt=3: -opt requires a whole number from 0 to 2"),
        (["-opt=one"], "-opt=one: -opt requires a whole number from 0 to 2"),
        (["-seed=-1"], "-seed=-1: -seed requires"),
        (["-seed", "-1"], "-seed=-1: -seed requires"),
        (["-seed=" + "9" * 5000], "-seed requires a whole number"),
        (["-max_n=0"], "-max_n=0"),
        (["-prec=FP16"], "-prec=FP16: -prec requires FP32 or INT8"),
        (["-model="], "-model requires a path"),
        (["-model"], "-model requires a value: -model=PATH"),
        (["-model", "-weight=x"], "-model requires a value"),
        (["-input_as_fp32=a,,b"], "requires names with a comma"),
        (["-shapes=1,3"], "requires shapes like [1,3,224,224],[1,10]"),
        (["-shapes=[1,0]"], "requires dimensions from 1"),
        (["-max_n=1,0"], "requires whole numbers from 1"),
    ],
)
def test_wrong_words(words: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(COMPILE_FLAGS, words)
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["", "[", "]", "[]", "[[]]", "[1", "1]", "[1,]", "[,1]", "[-1]", "[1.5]", "[1][2]", "[1],",
     "[1],[]", "[[1],[2]", "[1,1,1,1,1,1,1,1,1]", "[2147483648]", "[1e3]", "[٣]", "[0x10]",
     "[[[1]]]", "[__import__('os')]"],
)
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(ValueError, match=r"shapes|dimensions"):
        read_shapes(text)


@given(st.lists(st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=8), min_size=1,
                max_size=4))
def test_shapes_are_read_back(shapes: list[list[int]]) -> None:
    expected = tuple(tuple(shape) for shape in shapes)
    assert read_shapes(str(shapes)) == expected
    assert read_shapes(str(shapes)[1:-1]) == expected


@given(st.lists(st.one_of(
    st.text(max_size=12),
    st.builds("{}{}={}".format, DASHES, NAMES, st.text(max_size=12)),
    st.builds("{}{}".format, DASHES, NAMES),
), max_size=5))
@example(["-" * 40])
@example(["--=x"])
def test_any_words_are_parsed_or_refused(words: list[str]) -> None:
    try:
        values = parse(COMPILE_FLAGS, words)
    except UsageError as error:
        sentence = error.message
    else:
        assert values.keys() == {flag.name for flag in COMPILE_FLAGS}
        return
    assert sentence


def test_necessary_flags_are_named_all_at_once() -> None:
    with pytest.raises(UsageError, match=r"^-model, -outdir must be given"):
        require_necessary(COMPILE_FLAGS, parse(COMPILE_FLAGS, ["-weight=x"]))
    require_necessary(COMPILE_FLAGS, parse(COMPILE_FLAGS, ["-weight=x", "-model=m", "-outdir=o"]))


@pytest.mark.parametrize(
    ("options", "flags"),
    [(CompileOptions, COMPILE_FLAGS), (CalibrateOptions, CALIBRATE_FLAGS)],
)
def test_options_and_flags_agree(
    options: type[CompileOptions | CalibrateOptions], flags: Sequence[Flag]
) -> None:
    defaults = {flag.name: flag.default for flag in flags}
    for field in dataclasses.fields(options):
        necessary = field.default is dataclasses.MISSING
        assert defaults[field.name] == (None if necessary else field.default)


@pytest.mark.parametrize("flags", [COMPILE_FLAGS, CALIBRATE_FLAGS])
def test_the_help_has_every_flag_and_fits_a_terminal(flags: Sequence[Flag]) -> None:
    text = help_text("tool", "Does something.", flags, [("-model=x", "Does it.")])
    assert all(f"  -{flag.name}={flag.kind.word}\n" in text for flag in flags)
    assert max(map(len, text.splitlines())) <= 100
    assert "Examples:\n  tool -model=x\n      Does it.\n" in text
    assert "\nExit codes: 0 done, 2 usage, 3 file, 4 unsupported, 5 accuracy or compare, " in text
    assert text.count("Necessary.") == sum(flag.necessary for flag in flags)


def test_values_from_python_are_checked_alike() -> None:
    options = compile_options(
        model="m", weight=Path("w"), outdir="o", prec="INT8", shapes=[[1, 3, 8, 8], [2, 4]],
        net_name=None, opt=2, dyn=False, input_as_fp32=["a", "b"], output_as_fp32="c",
    )
    assert options == CompileOptions(
        Path("m"), Path("w"), Path("o"), (((1, 3, 8, 8), (2, 4)),), opt=2, prec="INT8",
        input_as_fp32=("a", "b"), output_as_fp32=("c",),
    )
    paths = {"model": "m", "weight": "w", "data": "d", "outdir": "o"}
    assert calibrate_options(**paths).th_method == "AUTO"
    script = calibrate_options(**paths, th_method="percentile9999")
    assert script.th_method == "PERCENTILE"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"opt": 3}, "opt=3: -opt requires"),
        ({"opt": True}, "opt=True"),
        ({"model": {"x": 1}}, "model: a path is expected, not dict"),
        ({"shapes": [[1, "x"]]}, r"shapes=\[\[1, 'x'\]\]: -shapes requires"),
        ({"prec": "FP16"}, "prec='FP16': -prec requires FP32 or INT8"),
        ({"cmp": 2}, "cmp=2"),
        ({"oputdir": "x"}, "did you mean -outdir"),
        ({}, "-model, -weight, -outdir must be given"),
    ],
)
def test_wrong_values_from_python(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        compile_options(**values)


def test_a_given_none_is_the_default() -> None:
    assert check_values(COMPILE_FLAGS, {"opt": None})["opt"] == 1


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("-resize=224x256", (224, 256)), ("-resize=224X256", (224, 256)), ("-crop=7", (7,)),
        ("-mean=104,117.5,-1e2", (104, 117.5, -100)), ("-scale=0.017", (0.017,)),
        ("-color=RGB", "rgb"),
    ],
)  # fmt: skip
def test_values_of_the_contract(word: str, expected: object) -> None:
    name = word.partition("=")[0].removeprefix("-")
    assert parse(CALIBRATE_FLAGS, [word])[name] == expected


@pytest.mark.parametrize(
    "word",
    ["-resize=0", "-resize=1x2x3", "-resize=99999", "-resize=x", "-resize=-3", "-mean=", "-mean=1,",
     "-scale=a"],
)  # fmt: skip
def test_values_that_the_contract_refuses(word: str) -> None:
    with pytest.raises(UsageError, match="requires"):
        parse(CALIBRATE_FLAGS, [word])


@pytest.mark.parametrize("word", ["-target_cosine=2", "-target_cosine=nan", "-target_cosine=x",
                                  "-float_budget=0", "-float_budget=1.5"])  # fmt: skip
def test_goals_that_cannot_be(word: str) -> None:
    with pytest.raises(UsageError, match="requires a"):
        parse(CALIBRATE_FLAGS, [word])
    assert parse(CALIBRATE_FLAGS, ["-target_cosine=0.995"])["target_cosine"] == 0.995


@pytest.mark.parametrize("size", ["20x30", (20, 30), [20, 30]])
def test_sequences_are_given_from_python(size: object) -> None:
    found = check_values(CALIBRATE_FLAGS, {"resize": size, "mean": (1, 2.5, 3), "scale": 4})
    assert (found["resize"], found["mean"], found["scale"]) == ((20, 30), (1, 2.5, 3), (4,))
