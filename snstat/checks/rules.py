"""All rules, by code, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from types import MappingProxyType

from snstat.checks import (
    backward,
    chance,
    drift,
    forward,
    numbers,
    pairs,
    target,
    theorems,
    units,
)
from snstat.checks.rule import Rule
from snstat.errors import InvalidValueError, UnknownNameError

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.code: rule
        for rule in (
            *numbers.RULES,
            *forward.RULES,
            *target.RULES,
            *backward.RULES,
            *pairs.RULES,
            *units.RULES,
            *chance.RULES,
            *theorems.RULES,
            *drift.RULES,
        )
    }
)
CODES = tuple(RULES)


def choose(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> frozenset[str]:
    """Return the codes of the rules to apply: those of `select` (all, if empty) less `ignore`.

    Either lists codes, names of rules, or beginnings of codes: "SN1" is every rule from SN101 to
    SN199, "SN1,SN202" one more. Raises UnknownNameError for what is none of these, and
    InvalidValueError where no rule is left.
    """
    chosen = set().union(*(_matching("select", entry) for entry in select)) or set(CODES)
    ignored = list(ignore)
    left = frozenset(chosen.difference(*(_matching("ignore", entry) for entry in ignored)))
    if not left:
        what = "something that select leaves" if chosen != set(CODES) else "not all rules"
        raise InvalidValueError("ignore", ", ".join(ignored), what, "no rule is left to check")
    return left


def _matching(option: str, entry: str) -> set[str]:
    if "," in entry:
        return set().union(*(_matching(option, part) for part in entry.split(",")))
    text = entry.strip()
    found = {code for code in CODES if text and code.startswith(text.upper())}
    found |= {code for code, name, _ in catalogue() if name == text.lower()}
    if not found:
        raise UnknownNameError(option, entry, [*CODES, *(name for _, name, _ in catalogue())])
    return found


def catalogue() -> list[tuple[str, str, str]]:
    """Return (code, name, summary) of every rule."""
    return [(rule.code, rule.name, rule.summary) for rule in RULES.values()]


def explanation(code: str) -> str:
    """Return the page of a rule, as markdown; UnknownNameError if there is no such rule."""
    codes = sorted(_matching("explain", code)) if code.strip() else []
    if len(codes) != 1:
        raise InvalidValueError(
            "explain", code, f"one rule, not {', '.join(codes) or 'none'}", "give one code"
        )
    page = files("snstat.checks").joinpath("pages", f"{codes[0]}.md")
    return page.read_text(encoding="utf-8")
