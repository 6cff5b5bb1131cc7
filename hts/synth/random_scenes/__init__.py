"""Small scenes with a known truth, as different from one another as microscopes and cultures are.

Everything is drawn at random within wide bounds: size, density, shape, brightness and texture of the objects, blur,
haze, uneven light, debris, noise, saturation. A network trained on them (:mod:`hts.train`) has to learn what all of
them have in common, which is what real images share, too (domain randomisation: J. Tobin et al., IROS 2017).
"""

from __future__ import annotations

from hts.synth.random_scenes.scene import RandomScene, random_scene

__all__ = ["RandomScene", "random_scene"]
