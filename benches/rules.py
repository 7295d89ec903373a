"""Who shares a layer with whom: rules that others have, to compare with. Each takes the bytes of recipes by their names, and
how many layers there may be, and gives the recipes of each layer. The last layer, of what no recipe owns, is not among
them."""

from statistics import median


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


def chunkah(sizes, count):
    """Large ones alone, the others by the hash of their names; what they would know from changelogs is not known here."""
    largest_first = sorted(sizes, key=lambda name: (-sizes[name], name))
    if len(sizes) <= count:
        return [[name] for name in largest_first]
    middle = median(sizes.values())
    spread = median(abs(size - middle) for size in sizes.values())
    limit = middle + 1.5 * (spread if spread >= middle / 100 else middle)
    alone = [name for name in largest_first if sizes[name] >= limit][:int(0.8 * (count - 1))]
    bins = [[] for _ in range(count - len(alone))]
    for name in sorted(set(sizes) - set(alone)):
        bins[fnv1a(name.encode() + b"\xff") % len(bins)].append(name)
    for empty in (one for one in bins if not one):
        largest, donor = max((max((sizes[name], name) for name in one), number)
                             for number, one in enumerate(bins) if len(one) > 1)
        bins[donor].remove(largest[1])
        empty.append(largest[1])
    return [[name] for name in alone] + bins


def apko(sizes, count):
    """The largest alone, all others together."""
    largest_first = sorted(sizes, key=lambda name: (-sizes[name], name))
    alone, together = largest_first[:count - 1], largest_first[count - 1:]
    return [[name] for name in alone] + ([together] if together else [])


def each(sizes, _count):
    """One layer a recipe: what is fetched is what changed, and nothing costs less as long as layers are shared whole."""
    return [[name] for name in sorted(sizes)]
