"""A reader of remedies, who follows their words in plain data, defaults and parameters as they are
written. It knows nothing of how networks are edited."""

from __future__ import annotations

import copy
import re

from snstat.network.network import Network

NORM = r'\{ kind = "(\w+)" \}'
# What leaves a layer out, in the files of the tests.
LEFT_OUT = (0, False, "=off", "=post", "=1-separable")
# Where one change of a file ends and the next begins.
NEXT = re.compile(r" and (?=set |multiply |use |begin |put )")


def named(form, prefix=""):
    """Yield the lists of layers in plain data, the place in them and the name of each layer that is
    not left out."""
    for place, layer in enumerate(form):
        if layer.get("when") in LEFT_OUT:
            continue
        name = f"{prefix}{layer.get('name', place)}"
        yield form, place, name
        yield from named(layer.get("layers", []), f"{name}.")
        yield from named(layer.get("shortcut", []), f"{name}.shortcut.")


def meant(form, words):
    """Return the lists and places of the layers that a remedy means, from its words: "all 3
    residuals", "dense layers body.0 and 1"."""
    found = list(named(form["layers"]))
    if words.startswith("all "):
        count, noun, but = re.fullmatch(r"all (\d+) (.*?)s( but the last)?", words).groups()
        kinds = re.split(", | and ", noun.removesuffix(" layer"))
        kinds = [kind.replace(" ", "_") for kind in kinds]
        chosen = [(held, place) for held, place, _ in found if held[place]["kind"] in kinds]
        assert len(chosen) == int(count)
        return chosen[:-1] if but else chosen
    kind, names = re.fullmatch(
        r"(.*?)(?: layer)?s? ([^ ]+(?:, [^ ]+)*(?: and [^ ]+)?)", words
    ).groups()
    chosen = [(h, p) for h, p, name in found if name in re.split(", | and ", names)]
    kinds = {held[place]["kind"] for held, place in chosen}
    assert kinds == {own.replace(" ", "_") for own in re.split(", | and ", kind)}
    return chosen


def tables(form, words):
    """Return the tables that keys are changed in: "dense layer 0 and of dense in [defaults]"."""
    found = []
    for part in words.split(" and of "):
        if part == "input":
            found.append(form["input"])
        elif part.endswith(" in [defaults]"):
            kinds = re.split(", | and ", part.removesuffix(" in [defaults]"))
            found += [form["defaults"][kind] for kind in kinds]
        else:
            found += [held[place] for held, place in meant(form, part)]
    return found


def _set(form, words):
    key, which, value, now = re.fullmatch(
        r'set "(\w+)" of (.+) to ([\d.e+-]+) \(now (.+)\)', words
    ).groups()
    for table in tables(form, which):
        assert (now.endswith("[defaults]") and key not in table) or not now.endswith("[defaults]")
        table[key] = int(value) if key in ("times", "width") else float(value)
        if 'leave out "weight_std"' in now:
            table.pop("weight_std", None)


def _leave_out(form, words):
    parts = re.findall(r'((?:"\w+"(?:, | and )?)+) of (.+?)(?= and "|$)', words)
    assert parts
    for keys, which in parts:
        for key in re.findall(r'"(\w+)"', keys):
            for table in tables(form, which):
                del table[key]  # it stands there


def _multiply(form, words):
    parts, factor = re.fullmatch(r"multiply (.+) by (\d)", words).groups()
    for part in re.split(r' and (?=")', parts):
        key, which = re.fullmatch(r'"(\w+)" of (.+)', part).groups()
        for table in tables(form, which):
            own = table[key]
            own = f"={factor}*({own[1:]})" if isinstance(own, str) else int(factor) * own
            table[key] = own


def _begin(form, words):
    which, kind = re.fullmatch(rf"begin (?:the branch of )?(.+) with {NORM}", words).groups()
    for held, place in meant(form, which):
        held[place]["layers"].insert(0, {"kind": kind})


def _put(form, words):
    kind, which = re.fullmatch(rf"put {NORM} after (.+)", words).groups()
    for held, place in reversed(meant(form, which)):
        held.insert(place + 1, {"kind": kind})


VERBS = {
    "set": _set,
    "leave": _leave_out,
    "multiply": _multiply,
    "begin": _begin,
    "put": _put,
}


def followed_in(form, words):
    """Return the plain data after a remedy, and what is set on the command line: parameters, and
    the inputs."""
    form, changes, inputs = copy.deepcopy(form), {}, {}
    for clause in NEXT.split(words):
        verb = clause.split()[0]
        if verb == "use":
            for name, value in re.findall(r"--set (\w+)=([\d.e+-]+) \(now", clause):
                changes[name] = float(value) if "." in value else int(value)
            for name, value in re.findall(r"--(input-\w+) ([\d.e+-]+) \(now", clause):
                inputs[name.replace("-", "_")] = float(value)
            assert clause.count("(now") == clause.count("--")
        else:
            VERBS[verb](form, clause)
    return form, changes, inputs


def followed(network, words):
    """Return the network after a remedy, followed in its plain data without parameters."""
    form, changes, inputs = followed_in(network.form(), words)
    assert not changes
    assert not inputs
    return Network.read(form)
