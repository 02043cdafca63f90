"""All rules of networks, by code, the choice among rules, and the pages of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

from snstat.checks.backward import gradients_explode, gradients_vanish
from snstat.checks.branches import branches_fade
from snstat.checks.chance import disagrees, too_narrow
from snstat.checks.drift import drifts
from snstat.checks.forward import explodes, vanishes
from snstat.checks.masks import dropout_decides
from snstat.checks.numbers import leaves_range
from snstat.checks.pairs import collapses, separates
from snstat.checks.positions import position_fades, positions_collapse
from snstat.checks.rule import Page, Rule
from snstat.checks.spectrum import stretches_unevenly
from snstat.checks.target import converges_elsewhere, misses_target
from snstat.checks.theorems import leaves_theorems
from snstat.checks.units import too_few_alive
from snstat.checks.weights_back import weights_differ
from snstat.errors import InvalidValueError, SnstatError, UnknownNameError

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.code: rule
        for rule in (
            leaves_range,
            vanishes,
            explodes,
            misses_target,
            converges_elsewhere,
            gradients_vanish,
            gradients_explode,
            weights_differ,
            stretches_unevenly,
            collapses,
            separates,
            dropout_decides,
            positions_collapse,
            too_few_alive,
            branches_fade,
            position_fades,
            disagrees,
            too_narrow,
            leaves_theorems,
            drifts,
        )
    }
)
# Of networks.
CODES = tuple(RULES)


@cache
def pages() -> Mapping[str, Page]:
    """Return all rules by code, those of networks and those of files of weights."""
    # A check of a network looks at no file of weights.
    from snstat.checks.weights_rules import WEIGHTS_RULES
    from snstat.checks.widths_flat import WIDTHS_RULE

    every: dict[str, Page] = {**RULES, **WEIGHTS_RULES, WIDTHS_RULE.code: WIDTHS_RULE}
    return MappingProxyType({code: every[code] for code in sorted(every)})


def choose(
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    *,
    among: Mapping[str, Page] = RULES,
) -> frozenset[str]:
    """Return the codes of the rules to apply: those of `select` (all, if empty) less `ignore`, of
    those `among` which to choose.

    Either lists codes, names of rules, or beginnings of codes: "SN1" is every rule from SN101 to
    SN199, "SN1,SN202" one more. Raises UnknownNameError for what is none of these, and
    InvalidValueError where no rule is left.
    """
    wanted, ignored = list(select), list(ignore)
    chosen = set().union(*(_matching("select", entry) for entry in wanted)) or set(among)
    if not chosen & among.keys():
        what = f"a rule of {'networks' if among is RULES else 'files of weights'}"
        raise InvalidValueError("select", ", ".join(wanted), what, "see --list-rules")
    chosen &= among.keys()
    left = frozenset(chosen.difference(*(_matching("ignore", entry) for entry in ignored)))
    if not left:
        what = "something that select leaves" if wanted else "not all rules"
        raise InvalidValueError("ignore", ", ".join(ignored), what, "no rule is left to check")
    return left


def named(select: Iterable[str]) -> frozenset[str]:
    """Return the codes that entries of `select` name, each alone: not those of "SN1"."""
    every = (part for entry in select for part in entry.split(","))
    found = (_matching("select", part) for part in every)
    return frozenset().union(*(codes for codes in found if len(codes) == 1))


def _matching(option: str, entry: str) -> set[str]:
    if "," in entry:
        return set().union(*(_matching(option, part) for part in entry.split(",")))
    text = entry.strip()
    known = pages()
    found = {code for code in known if text and code.startswith(text.upper())}
    found |= {rule.code for rule in known.values() if rule.name == text.lower()}
    if not found:
        raise UnknownNameError(option, entry, [*known, *(rule.name for rule in known.values())])
    return found


def catalogue() -> list[tuple[str, str, str]]:
    """Return (code, name, summary) of every rule."""
    return [(rule.code, rule.name, rule.summary) for rule in pages().values()]


def explanation(code: str) -> str:
    """Return the page of a rule, as markdown.

    Raises UnknownNameError if there is no such rule, InvalidValueError unless `code` means one
    rule, and SnstatError where Python was told to drop docstrings.
    """
    codes = sorted(_matching("explain", code)) if code.strip() else []
    if len(codes) != 1:
        raise InvalidValueError(
            "explain", code, f"one rule, not {', '.join(codes) or 'none'}", "give one code"
        )
    rule = pages()[codes[0]]
    if not rule.text:
        raise SnstatError(
            f"{rule.code} {rule.name} has no page here: Python drops docstrings with -OO or"
            " PYTHONOPTIMIZE=2; run it without"
        )
    return f"# {rule.code} {rule.name}\n\n{rule.text}\n"
