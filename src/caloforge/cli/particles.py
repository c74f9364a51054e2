"""Particles as the command line names them."""

from __future__ import annotations

from caloforge.errors import RequestError, nearest_name

# English names that the table of particles does not know.
_ENGLISH = {
    "electron": 11,
    "positron": -11,
    "photon": 22,
    "proton": 2212,
    "antiproton": -2212,
    "neutron": 2112,
    "antineutron": -2112,
}
_COMMON = (*_ENGLISH, "e-", "e+", "gamma", "mu-", "mu+", "pi-", "pi+", "pi0", "K-", "K+", "K_L0", "K_S0", "p", "n")


def mixture(text: str) -> dict[int, float]:
    """Return the weight of each PDG code in a text such as ``e-``, ``e-,gamma`` or ``e-:3,pi+:1``.

    Raises:
        RequestError: an unknown particle, an empty entry, a weight that is no number, or a particle named twice.

    >>> mixture("e-:3,pi+")
    {11: 3.0, 211: 1.0}
    """
    weights: dict[int, float] = {}
    for entry in text.split(","):
        name, colon, weight = (part.strip() for part in entry.partition(":"))
        if not name:
            raise RequestError(f"an entry of the particles {text!r} is empty; write for instance e-:3,pi+:1")
        code = particle_code(name)
        if code in weights:
            raise RequestError(f"the particles {text!r} name the PDG code {code} twice; give it one weight")
        try:
            weights[code] = float(weight) if colon else 1.0
        except ValueError:
            raise RequestError(f"the weight {weight!r} of {name} is not a number; write for instance e-:3") from None
    return weights


def particle_code(text: str) -> int:
    """Return the PDG code that a number or a particle's name (e-, gamma, pi+, proton) means.

    Raises:
        RequestError: no particle has that name; suggests the nearest common one.
    """
    try:
        return _ENGLISH.get(text) or int(text)
    except ValueError:
        pass
    from particle import Particle, ParticleNotFound
    from particle.exceptions import MatchingIDNotFound

    for find in (Particle.from_evtgen_name, Particle.from_name):
        try:
            return int(find(text).pdgid)
        except (MatchingIDNotFound, ParticleNotFound):
            continue
    nearest = nearest_name(text, _COMMON)
    hint = f"; did you mean {nearest!r}?" if nearest else "."
    raise RequestError(f"unknown particle {text!r}{hint} Give a PDG code or a name such as e-, gamma, pi+, proton")
