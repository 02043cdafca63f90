"""The gallery of the site: every kind of picture, with the command that drew it.

Pictures of kinds are drawn by the build, in one process. Those of the example networks are drawn
by `make pictures`, and are in docs/networks.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from snstat.cli import run
from snstat.cli.picture import KINDS

CHECKOUT = Path(__file__).parents[2]
NETWORKS = CHECKOUT / "examples" / "networks"
TABLE = "widths.csv"


class Picture(NamedTuple):
    """A picture: its file, the options of `snstat plot` that draw it, what it shows, and the
    options of `snstat sweep` that make TABLE first."""

    name: str
    options: str
    text: str
    sweep: str = ""

    @property
    def command(self) -> str:
        """What draws it."""
        first = f"snstat sweep {self.sweep} -o {TABLE}\n" if self.sweep else ""
        return f"{first}snstat plot {self.options} -o {self.name}.svg"


PICTURES = (
    Picture(
        "trajectory",
        "-a selu,relu,tanh -w 256",
        "Mean, variance, cosine and gradient over 64 layers. SELU keeps variance 1, and the others"
        " make inputs alike.",
    ),
    Picture(
        "residuals",
        "-a selu -w 256 --residuals",
        "Strips of z below the panels show how far simulation is from theory, in standard errors.",
    ),
    Picture(
        "dark",
        "-a selu,tanh -w 256 -d 16 --style dark",
        "On a dark ground colours are lighter, of the same hue.",
    ),
    Picture(
        "gains",
        "-a tanh --weight-gain 0.8,0.9,1,1.1,1.2,1.3,1.4,1.5 -w 64 -d 24 -t 4",
        "With more than seven runs, each has its own panel: tanh from order to chaos.",
    ),
    Picture(
        "quantiles",
        "-a relu -w 64 -d 32 -t 32 --band quantile",
        "A band from the 5th to the 95th percentile of trials: how much one network differs.",
    ),
    Picture(
        "gradient",
        "--kind gradient -a relu,selu,tanh -w 256",
        "Squared gradients on the way back, with the factor of each layer by theory and as"
        " measured.",
    ),
    Picture(
        "residual",
        "--kind residual -a selu -w 256",
        "z of every layer, and its quantiles beside those of a normal and of Student's law.",
    ),
    Picture(
        "difference",
        "--kind difference -a tanh -w 64,256 -d 32",
        "One run less another, here of two widths, beside the difference that theory expects.",
    ),
    Picture(
        "phase",
        "--kind phase -a tanh,relu,selu,gelu --weight-gain 0.5:3 --bias-std 0:1",
        "The ordered and the chaotic phase, the line χ = 1 between them, and where the signal"
        " grows without bound.",
    ),
    Picture(
        "depth-scale",
        "--kind depth-scale -a tanh,selu --weight-gain 0.5:3 --bias-std 0.05",
        "How many layers the difference of two inputs lasts, and about how deep training works.",
    ),
    Picture(
        "sweep",
        f"{TABLE} --x weight_gain --y gradient --hue width",
        "A sweep over gain and width: markers are means over seeds, lines are theory.",
        "-a relu -d 16 -t 4 --over weight-gain=1.3:1.5:5 --over width=64,256 --seeds 3 --backward",
    ),
    Picture(
        "map",
        "--kind map",
        "Figure 2 of the SNN paper: one layer of SELU moves mean and variance towards (0, 1).",
    ),
    Picture(
        "ensemble-map",
        "--kind map --map ensemble -a tanh --weight-gain 1.5",
        "The map of random weights, here of tanh with gain 1.5.",
    ),
    Picture(
        "histogram",
        "--kind histogram -a relu -d 16 -w 256",
        "Densities of activations layer by layer beside their law at infinite width; stems are"
        " values of positive probability.",
    ),
    Picture(
        "heatmap",
        "--kind heatmap -a selu -d 32 -w 256",
        "The same of every layer, as shades.",
    ),
    Picture(
        "correlation",
        "--kind correlation -a selu,relu,tanh",
        "How one layer changes the correlation of two inputs, with the fixed points.",
    ),
    Picture(
        "border",
        "examples/networks/snn_conv.toml --kind positions",
        "The second moment at every position: zero padding takes signal from the border.",
    ),
    Picture(
        "checkerboard",
        "examples/networks/unet.toml --kind positions",
        "Transposed convolutions whose stride does not divide their kernel make a checkerboard.",
    ),
    Picture(
        "spectrum",
        "--kind spectrum -a tanh --init orthogonal -w 64 -d 8",
        "Singular values of the Jacobian beside free probability.",
    ),
)


def all_pictures() -> list[Picture]:
    """Return the pictures above, and one with defaults of each kind that none of them shows."""
    shown = {_kind(picture) for picture in PICTURES}
    others = [Picture(kind, f"--kind {kind}", "") for kind in KINDS if kind not in shown]
    return [*PICTURES, *others]


def _kind(picture: Picture) -> str:
    words = shlex.split(picture.options)
    return words[words.index("--kind") + 1] if "--kind" in words else "trajectory"


def draw(folder: Path) -> None:
    """Draw the pictures of all kinds to `folder`, from the root of the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in all_pictures():
        table, target = folder / TABLE, folder / f"{picture.name}.svg"
        words = [str(table) if word == TABLE else word for word in shlex.split(picture.options)]
        commands = [["plot", *words, "-o", str(target)]]
        if picture.sweep:
            commands = [["sweep", *shlex.split(picture.sweep), "-o", str(table)], *commands]
        if any(run([*command, "-q"]) for command in commands):
            raise SystemExit(f"not drawn: {picture.command}")
        table.unlink(missing_ok=True)


def gallery_page() -> str:
    """Return the page of all pictures."""
    parts = [
        "# Gallery",
        (
            "Each picture has the command that drew it. Lines are theory, markers are simulation."
            " [Pictures](pictures.md) explains the kinds and their options."
        ),
    ]
    for picture in all_pictures():
        source = f"gallery/{picture.name}.svg"
        parts.append(_entry(picture.name, picture.text, picture.command, source))
    parts.append(
        "## Networks\n\nThe [examples](../examples/README.md) explain what can be seen in each of"
        " these."
    )
    for path in sorted(NETWORKS.glob("*.toml")):
        command = f"snstat plot examples/networks/{path.name} --backward -o {path.stem}.svg"
        about = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        parts.append(_entry(path.stem, about, command, f"networks/{path.stem}.svg", level=3))
    return "\n\n".join(parts) + "\n"


def _entry(name: str, text: str, command: str, source: str, level: int = 2) -> str:
    title = name.replace("_", " ").replace("-", " ").capitalize()
    return f"{'#' * level} {title}\n\n{text}\n\n```sh\n{command}\n```\n\n![{title}]({source})"
