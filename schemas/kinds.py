"""The catalogue of kinds, as it is documented and checked; mirrors `service.kindinfo`."""

from __future__ import annotations

from marshmallow import Schema

from schemas.report import GROUPS, PartSchema, TermSchema
from schemas.shorthand import boolean, choice, integer, nested_list, sentence, sentences, string, strings


class KindClassesSchema(Schema):
    """The classes of a framework that are of this kind."""

    framework = string("keras or torch.")
    names = strings("Class names.")


class KindWeightSchema(Schema):
    """A weight that layers of this kind have."""

    framework = string("keras or torch.")
    name = string("The framework's own local name.")
    role = string("As in a report.")
    shape = string("Sizes in symbols, in the framework's own order of axes.")
    group = choice("How it learns as long as nothing is frozen.", GROUPS)
    meaning = sentence("What it is.")
    when = sentence("The option that brings it; null where it is always there.", null=True)


class KindFormulaSchema(Schema):
    """What a framework counts."""

    framework = string("keras or torch.")
    formula = string("In symbols.")


class KindTermSchema(Schema):
    """A symbol of the formulas and shapes."""

    symbol = string("As it stands there.")
    meaning = sentence("What it stands for.")


class KindOptionSchema(Schema):
    """An option of the layer and what it does to the count."""

    framework = string("keras or torch.")
    name = string("What the framework calls it.")
    changes = boolean("Whether it changes the count; false for one that only seems to.")
    effect = sentence("How.")


class KindExampleSchema(Schema):
    """A layer worked out by the code that explains real ones."""

    framework = string("keras or torch.")
    layer = string("The layer in the framework's own words.")
    formula = string("Arithmetic that ends in = total.")
    text = sentence("For a person who meets this layer for the first time.")
    expert = sentence("For one who knows it.")
    terms = nested_list(TermSchema, "What the symbols mean.")
    parts = nested_list(PartSchema, "How the total splits.")
    total = integer("Elements in all.")


class KindInfoSchema(Schema):
    """What there is to know of a kind of layer."""

    kind = string("The word that reports use.")
    title = sentence("Its name for a person.")
    summary = sentence("What such a layer does.")
    has_weights = boolean("Whether layers of this kind can have weights of their own.")
    classes = nested_list(KindClassesSchema, "Which classes are of this kind.")
    weights = nested_list(KindWeightSchema, "Which weights they have.")
    formulas = nested_list(KindFormulaSchema, "What each framework counts.")
    terms = nested_list(KindTermSchema, "What the symbols mean.")
    options = nested_list(KindOptionSchema, "What options do to the count.")
    differences = sentences("Where the frameworks differ.")
    examples = nested_list(KindExampleSchema, "Layers worked out.")
    references = strings("Papers and documentation.")
    notes = sentences("What no table can say.")
