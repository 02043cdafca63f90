"""The pipe from a network to a run, as one function."""

from __future__ import annotations

from snstat.experiment.call import Call
from snstat.results import Run
from snstat.values.option import taking


@taking(Call)
def propagate(call: Call) -> Run:
    """Propagate inputs through random networks and report every layer, theory beside simulation.

    Parameters
    ----------
    activation : str, pair of functions, Network, Stack or path
        What to simulate: a network or a stack, the path of a network file (.toml), or the uniform
        stack of an activation. Options that describe a stack are refused beside a network. An
        activation is a name of `snstat.activations`, or (phi, dphi): two functions that map a numpy
        array of the pre-activations, (units, batch) of `dtype`, elementwise to φ and to φ′. They
        are called from several threads. A unit whose dphi is 0 for every sample counts as dead.
        Theory is NaN if phi is not smooth between a few kinks, or if dphi is not its derivative;
        the run's table and `snstat.check` say which.
    depth, width : int
        Layers, and units in every layer including the input. Defaults: 64 and 1024.
    widths : str or sequence of int, optional
        Units of the input and of each layer, instead of `depth` and `width`: "784,512*3,10" or
        [784, 512, 512, 512, 10].
    last : str, optional
        Activation of the last layer: "linear" for a linear read-out. By default that of the
        other layers.
    init : str, optional
        Initialiser; by default the one that the activation's literature uses.
    weight_gain : float, optional
        G: weights have variance G²/fan_in; an orthogonal matrix is multiplied by G. By default the
        initialiser's.
    weight_std : float, optional
        Standard deviation of the weights, instead of a gain. Truncated normals are cut at two
        standard deviations and not rescaled, so their standard deviation is 0.88 times this.
    bias_std : float, optional
        Biases are N(0, bias_std²). By default the initialiser's (0 except for torch_default).
    batch : int, optional
        Samples per trial. Default: 64, or all samples if data have fewer.
    trials : int or "keep"
        Independent networks. "keep" is 8 of them, with the values of each kept.
    inputs : str, path or array
        "normal", "uniform", the path of a .npy or .npz file ("FILE.npz:name" chooses one of
        several arrays), or an array or tensor (samples, width) of real numbers without masks.
        When there are more samples than `batch`, every trial takes its own random subset.
        A sample of zeros has no angle with others: `cosine` is then NaN in every layer of a
        network without biases.
    input_mean, input_std : float, optional
        Mean and standard deviation of drawn inputs. Defaults: 0 and 1.
    standardize : bool
        Subtract from data the mean of the whole file and divide by its standard deviation.
    flatten : bool
        Flatten samples of more than one axis, such as images, to vectors.
    seed : int
        Seed of all random numbers: the same seed gives the same run.
    dtype : str or type
        Precision of the simulated network, "float32" or "float64", by name, by numpy's codes of
        this machine's types ("f4", "=f8") or as a type of numpy or PyTorch. Statistics are always
        float64.
    sampler : str
        "dense" draws all weights; "matrix-free" simulates the same network without them, exactly
        in distribution, for Gaussian and orthogonal weights; "auto" takes the cheaper exact one.
    infinite_width : int, optional
        Sample the limit of infinite width, as a population of so many units in every layer: see
        docs/infinite-width.md. Estimates are then of the population, not of the network at its own
        widths. By default, or for 0, the network itself.
    train : bool
        Whether dropout and the statistics of batches are on, as in training. Default: True.
    set : mapping
        Parameters of the network file to change, by name.
    weights : path or mapping, optional
        The matrices of a file, or arrays by name such as a state dict, are the network, each with
        the activation after it: see docs/weights.md. Trials differ in their inputs. `theory` is
        that of independent weights with the mean square of each matrix, `expected` the unit map
        with every unit's own weight sums.
    only : str or sequence of str, optional
        Globs of the names of `weights` that are used, in the order of the globs.
    layout : str, optional
        Where shapes of `weights` have inputs and outputs: see `snstat.weights`.
    threads : int, optional
        By default all cores this process may use. Results do not depend on it beyond rounding.
    backward : bool
        Measure `gradient` too.
    keep_trials : bool
        Keep the values of every trial, however many, in `run.variance.trials` (trials, layers),
        else None.
    progress : callable, optional
        Called from time to time with the number of (layer, trial) pairs finished.

    Returns
    -------
    Run
        Layers 0 (the input) to `depth`. On KeyboardInterrupt, the layers that every trial
        completed, with `partial` set.

    Raises
    ------
    snstat.errors.SnstatError
        For an argument out of bounds, an unknown name, or data that cannot be used.
    """
    return call.plan().run(call.progress)
