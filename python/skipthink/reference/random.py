"""The generator SplitMix64, as in the core: 64-bit arithmetic on whole numbers."""

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


class SplitMix64:
    """Gives the same numbers on every machine and in every version."""

    def __init__(self, state: int) -> None:
        self.state = state & MASK

    @classmethod
    def of_row(cls, seed: int, row: int) -> "SplitMix64":
        """A generator of one row, independent of the order of rows."""
        return cls(seed ^ ((row + 1) * GOLDEN & MASK))

    def next_u64(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + GOLDEN) & MASK
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        return z ^ (z >> 31)

    def next_unit(self) -> float:
        """A uniform number in [0, 1)."""
        return (self.next_u64() >> 11) * 2.0**-53
