"""The spelling of a condition: what may stand in it, before anything is parsed.

The parser is lenient where PostgreSQL is not (`==`, aliases, a trailing comma) and knows a
dozen literal forms. Only what these few lexemes can spell reaches it.
"""

import re
from typing import Final, NoReturn

from aegis.errors import InvalidCondition

ALLOWED: Final = (
    "a condition has columns, literals, = <> < <= > >=, AND, OR, NOT, IN (literals), BETWEEN, LIKE, "
    "IS [NOT] NULL, TRUE or FALSE, and parentheses"
)
KEYWORDS: Final = frozenset(
    {"AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "ESCAPE", "IS", "NULL", "TRUE", "FALSE"}
)
_LONGEST = 4_000
_MOST_LEXEMES = 1_000
_DEEPEST = 32
_LEXEME = re.compile(
    r"""(?P<space>[ \t\r\n\f]+)
    | (?P<comment>--|/\*)
    | (?P<json>->)
    | (?P<word>[^\W\d]\w*)
    | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?![\w.]))
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<operator>(?:!=(?!-)|<>|<=|>=|=|<|>)(?![=<>!]))
    | (?P<mark>[(),.-])""",
    re.VERBOSE,
)
_REFUSED = {
    "comment": "a comment",
    "json": "a JSON extract, which has no one meaning on all databases (use a generated column)",
    ";": "a second statement",
    "*": "a star",
    "|": "a concatenation",
    "?": "a placeholder",
    "$": "a placeholder or dollar quoting",
    "%": "a placeholder or an operator",
    "@": "a placeholder or an operator",
    ":": "a placeholder or a cast",
    "'": "a string without its end",
    '"': "a name without its end",
}
#: PostgreSQL reads these words, unquoted, as functions.
_VALUE_FUNCTIONS = re.compile(
    r"current_(catalog|date|role|schema|time|timestamp|user)|localtime(stamp)?|(session_|system_)?user",
    re.IGNORECASE,
)


def check_spelling(text: str) -> int:
    """Check every lexeme of a condition; return how many names it writes.

    Raises:
        InvalidCondition: it is empty, too long or too deep, or has a lexeme of another kind.

    """
    if not isinstance(text, str) or not text.strip():
        refuse("it is empty or not text")
    if len(text) > _LONGEST or "\x00" in text or not _encodes(text):
        refuse(f"it is longer than {_LONGEST} characters, or has characters that are no text")
    lexemes = _lexemes(text)
    if len(lexemes) > _MOST_LEXEMES:
        refuse(f"it has more than {_MOST_LEXEMES} words and signs")
    _check_depth(lexemes)
    for before, after in zip(lexemes, [*lexemes[1:], ("end", "")], strict=True):
        _check_pair(before, after)
    return sum(kind in {"word", "quoted"} and not is_keyword(lexeme) for kind, lexeme in lexemes)


def is_keyword(word: str) -> bool:
    """Say whether an unquoted word belongs to the language of conditions."""
    return word.upper() in KEYWORDS


def refuse(found: str) -> NoReturn:
    """Refuse a condition, naming what was found and what is allowed."""
    message = f"condition refused: {found}; {ALLOWED}"
    raise InvalidCondition(message)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lexemes(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _LEXEME.match(text, at)
        kind = "" if match is None else str(match.lastgroup)
        if match is None or kind in _REFUSED:
            named = _REFUSED.get(kind or text[at])
            refuse(f"it has {named}" if named else f"it has {_sign(text[at])} at character {at + 1}")
        if kind != "space":
            found.append((kind, match.group()))
        at = match.end()
    return found


def _sign(character: str) -> str:
    if character.isdecimal():
        return "a number that is not written in plain digits"
    return f"the sign {character!r}"


def _check_depth(lexemes: list[tuple[str, str]]) -> None:
    depth = 0
    for _, lexeme in lexemes:
        depth += {"(": 1, ")": -1}.get(lexeme, 0)
        if depth > _DEEPEST:
            refuse(f"its parentheses are nested more than {_DEEPEST} deep")


def _check_pair(before: tuple[str, str], after: tuple[str, str]) -> None:
    kind, lexeme = before
    following_kind, following = after
    word = lexeme.upper()
    if kind == "word" and _VALUE_FUNCTIONS.fullmatch(lexeme):
        refuse(f"{lexeme} is a function; a column of that name stands in double quotes")
    name = kind == "quoted" or (kind == "word" and word not in KEYWORDS)
    if name and following == "(":
        refuse(f"it calls the function {lexeme}")
    if name and following_kind == "string":
        refuse(f"a string stands behind {lexeme}; write it plain, and match with LIKE only")
    if word == "NOT" and following.upper() == "NOT":
        refuse("it has NOT twice in a row")
    if lexeme == "," and following == ")":
        refuse("it has a comma too many")
