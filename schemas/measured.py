"""What a weight's values show, as it is documented and checked; mirrors `service.measured`."""

from __future__ import annotations

from marshmallow import Schema

from schemas.shorthand import STATUSES, boolean, choice, integer, integers, nested, number, numbers, sentence, string


class HistogramSchema(Schema):
    """Finite values other than zero in bins of equal width from -span to span."""

    span = number("The power of two above the largest magnitude.")
    counts = integers("Values per bin, 64 of them; a bin has the edge that is nearer to zero.")


class ExponentsSchema(Schema):
    """Normal values by their power of two."""

    first = integer("The smallest power of two.")
    counts = integers("counts[i] values have a magnitude from 2**(first+i) up to, not including, 2**(first+i+1).")


class ChannelStatisticsSchema(Schema):
    """What the slices of a kernel along its output axis show."""

    axis = integer("The axis along which the channels lie.")
    count = integer("Channels.")
    zero = integer("Channels that are zero throughout.")
    zero_indices = integers("The first of them, at most 100.")
    smallest = number("Smallest Euclidean norm of a channel.", null=True)
    median = number("Median of the norms.", null=True)
    largest = number("Largest norm.", null=True)


class WeightStatisticsSchema(Schema):
    """What was seen in all values of one weight."""

    status = choice("Whether all values were read.", STATUSES)
    reason = sentence("Why not.", null=True)
    count = integer("Values looked at.", null=True)
    finite = integer("Values that are finite.", null=True)
    nan = integer("Values that are not a number.", null=True)
    positive_infinity = integer("Values that are positive infinity.", null=True)
    negative_infinity = integer("Values that are negative infinity.", null=True)
    zeros = integer("Values that are zero.", null=True)
    negative = integer("Finite values below zero.", null=True)
    denormal = integer("Values other than zero below the smallest normal number of their type.", null=True)
    min = number("Smallest finite value.", null=True)
    max = number("Largest finite value.", null=True)
    mean = number("Mean of the finite values.", null=True)
    std = number("Standard deviation of the finite values, divided by their number.", null=True)
    l1 = number("Sum of magnitudes.", null=True)
    l2 = number("Root of the sum of squares.", null=True)
    linf = number("Largest magnitude.", null=True)
    constant = boolean("Whether all values are finite and the same.", null=True)
    digest = string("BLAKE3 of the stored values in C order; equal for weights with the same bits.", null=True)
    histogram = nested(HistogramSchema, "Bins of equal width; null where no finite value differs from zero.", null=True)
    exponents = nested(ExponentsSchema, "Per power of two; null where no value is a normal number.", null=True)
    values = numbers("The values, for the weights of a normalisation with at most 4,096 of them.", null=True)
    channels = nested(ChannelStatisticsSchema, "Per channel, for kernels whose output axis is known.", null=True)
    dequantised = boolean(
        "Whether all this is of numbers that were made of blocks of codes, in single precision, and not of what is "
        "stored; so is digest."
    )
