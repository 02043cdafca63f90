"""Network, inputs and sampling: from a request to a run."""
