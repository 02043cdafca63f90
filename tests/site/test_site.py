"""Pages of the site that are made from the code, and where all pages are in it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import yaml

from snstat.checks.rules import catalogue
from snstat.cli import COMMANDS, group
from snstat.cli.picture import KINDS as PICTURE_KINDS
from snstat.layers.registry import KINDS
from tests.site import assemble, gallery, hooks
from tests.site.words import command_page, escaped, words_pages

CHECKOUT = Path(__file__).parents[2]
QUESTIONS = (CHECKOUT / "docs" / "questions.md").read_text("utf-8")


@pytest.fixture(scope="module")
def pages():
    return dict(words_pages())


def test_each_command_kind_and_rule_has_a_page(pages):
    wanted = {f"docs/commands/{name}.md" for name in COMMANDS}
    wanted |= {f"docs/layers/{name}.md" for name in KINDS}
    wanted |= {f"docs/rules/{code.lower()}.md" for code, _, _ in catalogue()}
    lists = {"docs/rules.md", "docs/commands/index.md", "docs/layers/index.md"}
    assert set(pages) == wanted | lists
    for name in KINDS:
        assert f"[{name}]({name}.md)" in pages["docs/layers/index.md"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_has_all_options_with_their_meaning(name):
    page = command_page(name)
    command = group.get_command(click.Context(group), name)
    given = [own for own in command.params if isinstance(own, click.Option) and not own.hidden]
    assert given
    # The list of flags, in backticks, then the help; what markdown would read as markup is escaped.
    entries = re.findall(r"^`(-.*)`\n:   (.*)$", page, re.MULTILINE)
    shown = {
        flag: meaning.replace("\\", "")
        for flags, meaning in entries
        for flag in re.findall(r"(?<![\w-])--?[a-z][\w-]*", flags)
    }
    for own in given:
        for flag in (*own.opts, *own.secondary_opts):
            assert shown.get(flag, "").startswith(own.help), flag
    assert {"-h", "--help"} < shown.keys()
    assert len(entries) == len(given) + 2
    assert command.help.split("\n\n")[0].split()[0] in page


def test_the_list_of_rules_has_the_sections_to_which_pages_link(pages):
    for code, name, _ in catalogue():
        assert f"\n## {code} {name}\n" in pages["docs/rules.md"]


def test_words_that_look_like_markup_are_escaped():
    assert escaped("784,512*3,10 with `a*b` <c>") == r"784,512\*3,10 with `a*b` \<c\>"


def test_every_page_stands_in_the_menu_once():
    pages = ["docs/a.md", "docs/b.md", "docs/new.md", "docs/commands/plot.md", "docs/rules/sn1.md"]
    nav = [
        {"Home": "docs/a.md"},
        {"Guides": ["docs/*.md"]},
        {"Commands": ["docs/commands/*.md", "docs/rules/*.md"]},
        "docs/b.md",
    ]
    assert assemble.expanded(nav, pages) == [
        {"Home": "docs/a.md"},
        {"Guides": ["docs/new.md"]},
        {"Commands": [{"plot": "docs/commands/plot.md"}, {"SN1": "docs/rules/sn1.md"}]},
        "docs/b.md",
    ]


def test_the_menu_has_all_pages(tmp_path):
    folder = tmp_path / "pages"
    assemble.copy_pages(folder)
    assemble.write_pages(folder)
    found = assemble.configuration(folder)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    named = assemble.named(found["nav"])
    assert len(named) == len(set(named))

    assert set(named) == there
    (measured,) = (entry["Measured"] for entry in found["nav"] if "Measured" in entry)
    assert {page for page in there if page.startswith("docs/benchmarks")} <= set(measured)
    assert (folder / "examples" / "networks" / "prenorm.toml").exists()


def test_addresses_come_from_the_environment(tmp_path, monkeypatch):
    addresses = {
        "SNSTAT_SITE": "https://example.org/a/",
        "SNSTAT_REPOSITORY": "https://example.org/b",
    }
    for name, address in addresses.items():
        monkeypatch.setenv(name, address)
    found = assemble.configuration(tmp_path)
    assert [found["site_url"], found["repo_url"]] == list(addresses.values())
    for name in addresses:
        monkeypatch.delenv(name)
    found = assemble.configuration(tmp_path)
    assert [found["site_url"], found["repo_url"]] == ["", ""]


def test_the_workflow_sets_the_addresses():
    workflow = yaml.safe_load((CHECKOUT / ".github/workflows/docs.yml").read_text("utf-8"))
    given = {
        "github.server_url": "https://github.com",
        "github.repository": "someone/snstat",
        "github.repository_owner": "someone",
        "github.event.repository.name": "snstat",
    }
    found = {
        name: re.sub(r"\$\{\{ (\S+) \}\}", lambda match: given[match[1]], text)
        for name, text in workflow["jobs"]["build"]["env"].items()
    }
    assert found == {
        "SNSTAT_REPOSITORY": "https://github.com/someone/snstat",
        "SNSTAT_SITE": "https://someone.github.io/snstat/",
    }


def test_a_broken_link_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(assemble, "CHECKOUT", tmp_path)
    (tmp_path / "page.md").write_text(
        "[a](page.md#top) [b](https://example.org) [c](no.md)", "utf-8"
    )
    with pytest.raises(SystemExit, match=r"page\.md links to no\.md, which does not exist"):
        assemble.linked(Path("page.md"))


def slug(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    return re.sub(r"[^\w\- ]", "", bare.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*assemble.written_pages(), Path("README.md")], ids=str)
def test_links_hold_on_github(page):
    """MkDocs checks those of the site."""
    text = (CHECKOUT / page).read_text("utf-8")
    for target, anchor in re.findall(r"\]\(([^)\s#:]*)(?:#([^)\s]*))?\)", text):
        path = CHECKOUT / page.parent / target if target else CHECKOUT / page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in map(slug, titles)


def test_pages_of_docs_are_at_the_top_of_the_site():
    files = [SimpleNamespace(dest_uri="docs/a/index.html"), SimpleNamespace(dest_uri="x/docs/b")]
    hooks.on_files(files, config=None)
    assert [file.dest_uri for file in files] == ["a/index.html", "x/docs/b"]


def test_the_gallery_has_every_kind_of_picture(monkeypatch):
    monkeypatch.setattr(gallery, "KINDS", (*PICTURE_KINDS, "new"))
    page = gallery.gallery_page()
    for kind in (*PICTURE_KINDS[1:], "new"):
        assert f"--kind {kind}" in page
    networks = sorted(path.stem for path in gallery.NETWORKS.glob("*.toml"))
    assert re.findall(r"\(networks/(\w+)\.svg\)", page) == networks
    names = [picture.name for picture in gallery.all_pictures()]
    assert len(names) == len(set(names))


def test_the_pictures_of_networks_are_drawn():
    drawn = {path.stem for path in (CHECKOUT / "docs" / "networks").glob("*.svg")}
    assert drawn == {path.stem for path in gallery.NETWORKS.glob("*.toml")}


def commands_in(page: str) -> list[str]:
    return sorted(set(re.findall(r"`snstat ([a-z][^`]*)`", page)))


@pytest.mark.parametrize("line", commands_in(QUESTIONS))
def test_commands_that_answer_questions_exist(line):
    """Their options are parsed, and nothing is run."""
    name, *words = shlex.split(line)
    command = group.get_command(click.Context(group), name)
    assert command is not None
    command.make_parser(click.Context(command)).parse_args(list(words))


def test_symptoms_that_people_name_have_an_answer():
    for symptom in (
        "The loss is NaN at step 0",
        "A deep network does not learn",
        "Which gain for my activation?",
        "Did my refactor change the initialisation?",
    ):
        (row,) = re.findall(rf"^\| {re.escape(symptom)} \|.*", QUESTIONS, re.MULTILINE)
        assert "`snstat " in row


def test_the_template_is_strict():
    found = yaml.safe_load(assemble.TEMPLATE.read_text("utf-8"))
    assert set(found["validation"].values()) == {"warn"}
