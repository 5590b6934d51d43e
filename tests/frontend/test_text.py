"""The text reader: lines, unknown fields, syntax errors, and files that are no prototxt."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmnetu.errors import InputFileError
from bmnetu.frontend.prototxt.text import TextFile, read_text
from bmnetu.frontend.ufw_pb2 import NetParameter


def read(folder: Path, text: str | bytes) -> tuple[NetParameter, TextFile]:
    path = folder / "net.prototxt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    net = NetParameter()
    return net, read_text(path, net)


def test_lines_of_messages(tmp_path: Path) -> None:
    net, text = read(
        tmp_path,
        '# comment\r\nname: "n"\nlayer {\n  name: "a" # more\n  pooling_param\n'
        "  {\n  stride: 2 }\n}\n"
        "layer <\n>\nlayer: { name: 'b' type: ReLU }\n",
    )
    assert [each.name for each in net.layer] == ["a", "", "b"]
    assert net.layer[2].type == "ReLU"
    assert net.layer[0].pooling_param.stride == 2
    assert [text.line("layer", i) for i in range(3)] == [3, 9, 11]
    assert text.line("layer", 0, "pooling_param") == 5
    assert text.line("layer", 7) == 1


def test_values(tmp_path: Path) -> None:
    net, _ = read(
        tmp_path,
        'model_type: BMNETC2UModel; int8_scale: 46.77f, input: "a" input: ["b", "c"]\n'
        "state { phase: TEST level: -1 } input_dim: [1, 0x10, 010]\n"
        "layer { convolution_param { pad: 1 pad: 2 bias_term: false engine: CUDNN } }\n"
        "layer { eltwise_param { operation: PROD coeff: [-1, 2e-3, inf] } }\n"
        'name: "two" " words\\n"\n',
    )
    assert net.model_type == "BMNETC2UModel"
    assert net.int8_scale == pytest.approx(46.77)
    assert list(net.input) == ["a", "b", "c"]
    assert list(net.input_dim) == [1, 16, 8]
    assert net.state.level == -1
    assert list(net.layer[0].convolution_param.pad) == [1, 2]
    assert not net.layer[0].convolution_param.bias_term
    assert list(net.layer[1].eltwise_param.coeff) == pytest.approx([-1, 0.002, float("inf")])
    assert net.name == "two words\n"


def test_unknown_fields_are_skipped_and_remembered(tmp_path: Path) -> None:
    net, text = read(
        tmp_path,
        'layer {\n  name: "a"\n  far: { a: 1 b { c: [1, 2] } < d: "}" > }\n  out: -1.5e3\n'
        '  word: SOME\n  strings: "a" "b"\n  list: [1, { x: 2 }]\n  top: "t"\n}\nnet_wide: true\n',
    )
    assert net.layer[0].top == ["t"]
    assert [(each.where, each.line, each.name) for each in text.unknown] == [
        (("layer", 0), 3, "far"),
        (("layer", 0), 4, "out"),
        (("layer", 0), 5, "word"),
        (("layer", 0), 6, "strings"),
        (("layer", 0), 7, "list"),
        ((), 10, "net_wide"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ('layer {\n  name: "a"\n', 3, "the file ends where '}' is required"),
        ("layer {\n  far { a: 1\n", 3, "the file ends where '}' is required"),
        ('layer {\n  name "a"\n}', 2, 'Expected ":"'),
        ("layer {\n  name: 5\n}", 2, "Expected identifier"),
        ("layer {\n  name: 'a\n}", 2, "String missing ending quote"),
        ("\nname: 'a\\q'", 2, "string 'a\\q' has an unknown escape"),
        ("layer 5", 1, "'{' is required, not '5'"),
        ("layer { pooling_param { pool: 'MAX' } }", 1, "pool takes a word without quotes"),
        ("layers { type: 'ReLU' }", 1, "write 'layer {' in place of 'layers {'"),
        ("layer { pooling_param { stride: -1 } }", 1, "-1 does not fit stride"),
        ("layer { pooling_param { stride: 99999999999 } }", 1, "99999999999 does not fit stride"),
        ("input_dim: 9" + 5000 * "9", 1, ""),
        ("layer { convolution_param { bias_term: maybe } }", 1, 'Expected "true" or "false"'),
        ("\nname: 'a' name: 'b'", 2, "name is given twice"),
        ("layer { pooling_param {} pooling_param {} }", 1, "pooling_param is given twice"),
        ("far = 5", 1, "':' or '{' is required, not '='"),
        ("far: }", 1, "a value is required, not '}'"),
        ("}", 1, "Expected identifier"),
        ("far " + "{a " * 100, 1, "nested more than 32 deep"),
        ("far { a: " + "<" * 3000, 1, "nested more than 32 deep"),
    ],
)
def test_syntax_errors(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    with pytest.raises(InputFileError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/net.prototxt:{line}: ")
    assert sentence in message


def test_unknown_words_are_skipped_and_remembered(tmp_path: Path) -> None:
    net, text = read(
        tmp_path,
        "layer { pooling_param { pool: MEDIAN stride: 2 } }\n"
        "layer { eltwise_param { operation: SUMM coeff: [1, 2] } }",
    )
    assert not net.layer[0].pooling_param.HasField("pool")
    assert net.layer[0].pooling_param.stride == 2
    assert [(each.line, str(each)) for each in text.unknown] == [
        (1, "pool: MEDIAN (it can be MAX, AVE, STOCHASTIC, AVE_EXC_PAD)"),
        (2, "operation: SUMM (did you mean SUM?)"),
    ]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "卷积"), ("gb18030", "卷积"), ("latin-1", "é"), ("shift_jis", "畳み込み")],
)
def test_names_and_comments_in_any_encoding(tmp_path: Path, encoding: str, name: str) -> None:
    text = f'# {name}\nname: "{name}"\nlayer {{ top: "{name}" bottom: "\\n{name}" }}'
    net, parsed = read(tmp_path, text.encode(encoding))
    assert net.layer[0].top == [net.name]
    assert net.layer[0].bottom == ["\n" + net.name]
    assert (net.name == name) is (encoding != "shift_jis"), "read as Chinese, but each name as one"
    assert parsed.line("layer", 0) == 3


def test_bytes_may_be_escaped(tmp_path: Path) -> None:
    assert read(tmp_path, b'name: "\\326\\320"')[0].name == "中"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_characters(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(InputFileError, match=r"is UTF-.* text; save it as UTF-8"):
        read(tmp_path, 'name: "a network"\nlayer {}'.encode(encoding))


def test_binary(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"binary file.*are -model and -weight swapped"):
        read(tmp_path, b"\n\x03net\x00\x01")
    with pytest.raises(InputFileError) as caught:
        read(tmp_path, b"\x89PNG\r\n\x1a\n\x00\x01\x02\x03")
    assert "swapped" not in str(caught.value)


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbfname: "a"')[0].name == "a"


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="is empty"):
        read(tmp_path, "")
    with pytest.raises(InputFileError, match="no such file; a text prototxt is expected"):
        read_text(tmp_path / "other", NetParameter())
    with pytest.raises(InputFileError, match="is not a file"):
        read_text(tmp_path, NetParameter())
