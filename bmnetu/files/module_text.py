"""Reads a module from text, whatever the text holds."""

from __future__ import annotations

import re

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.parser.generic_parser import ParserState
from xdsl.utils.exceptions import DiagnosticException, ParseError
from xdsl.utils.lexer import Input, Position, Token
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRToken, MLIRTokenKind, StringLiteral

from bmnetu.errors import InputFileError


class LinearLexer(MLIRLexer):
    """xDSL's lexer with two repairs of its string literals.

    The pattern never tries a character twice: the original takes exponential time on a literal that
    does not end. What is UTF-8 is a string: the original takes escaped bytes above 127, which its
    own printer writes for such a name, for bytes.
    """

    _unescaped_characters_regex = re.compile(
        r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"'
    )


    def _lex_string_literal(self, start_pos: Position) -> MLIRToken:
        token = super()._lex_string_literal(start_pos)
        if token.kind is MLIRTokenKind.BYTES_LIT:
            try:
                StringLiteral.from_span(token.span).bytes_contents.decode()  # pyright: ignore
            except UnicodeDecodeError:
                return token
            return Token(MLIRTokenKind.STRING_LIT, token.span)
        return token


class TextParser(Parser):
    """xDSL's parser on the linear lexer."""

    def __init__(self, context: Context, text: str, name: str) -> None:
        super().__init__(context, "", name)
        self._parser_state = ParserState(LinearLexer(Input(text, name)))


def parse_module(context: Context, text: bytes, name: str, implicit: bool = True) -> ModuleOp:
    """The module that a text holds.

    ``implicit``: a text of several ops, or of one that is no module, is put into a module. Raises
    DiagnosticException (or its ParseError) where xDSL says what is wrong, else InputFileError.
    """
    try:
        return TextParser(context, text.decode(), name).parse_module(implicit)
    except (DiagnosticException, ParseError):
        raise
    except RecursionError:
        raise InputFileError(f"{name}: is nested too deeply") from None
    except Exception as error:  # xDSL's parser trusts its text here and there
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputFileError(f"{name}: is no module that can be read: {reason}") from error
