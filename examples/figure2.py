"""Reproduce figure 2 of the SNN paper: the map of mean and variance, and its fixed point.

Klambauer et al., arXiv:1706.02515, figure 2: for SELU with weight sum 0 and weight square sum 1,
arrows point from each (mean, variance) to its image after one layer; all paths end at (0, 1).
"""

from snstat.report.figures import draw_map, save_figure
from snstat.theory.pictures import map_field

field = map_field("selu", weight_sum=0.0, weight_square_sum=1.0)
save_figure(draw_map(field), "figure2.png", "png")
point = field.fixed_points[0]
print(f"figure2.png: fixed point at mean {point.mean:.4f}, variance {point.variance:.4f}")
